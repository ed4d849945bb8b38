// SPDX-License-Identifier: Apache-2.0
// What is written on our own Node.
#include "registry/kube/node_patch.hpp"

#include "flannelette/base/function_ref.hpp"

namespace flannelette::registry::kube {
namespace {

using Visit = FunctionRef<void(Annotation, std::string_view)>;

/// What we publish, in the order of the names, as Go writes a map.
void visit_annotations(const overlay::Backend& backend, const overlay::LeaseValue& value, Visit visit) {
  visit(Annotation::kBackendData, to_text<Node::kMaxAnnotation>([&](Writer& out) {
          if (backend.write_data != nullptr) return backend.write_data(out, value);
          out.put("null");  // as Go writes no data
        }));
  visit(Annotation::kBackendType, backend.type);
  visit(Annotation::kManager, "true");
  visit(Annotation::kPublicIp, text_of(value.public_ip));
}

}  // namespace

bool publishes(const Node& node, const overlay::Backend& backend, const overlay::LeaseValue& value) {
  bool same = true;
  visit_annotations(backend, value, [&](Annotation annotation, std::string_view text) {
    same = same && node.annotation(annotation) == text;
  });
  return same;
}

void write_annotations(json::Writer& out, const AnnotationPrefix& prefix, std::string_view uid,
                       const overlay::Backend& backend, const overlay::LeaseValue& value) {
  out.begin_object().key("metadata").begin_object();
  out.key("annotations").begin_object();
  visit_annotations(backend, value, [&](Annotation annotation, std::string_view text) {
    out.key(prefix.key(annotation)).string(text);
  });
  out.end_object().key("uid").string(uid).end_object().end_object();
}

void write_no_annotations(json::Writer& out, const AnnotationPrefix& prefix, std::string_view uid) {
  out.begin_object().key("metadata").begin_object();
  out.key("annotations").begin_object();
  for (const Annotation annotation :
       {Annotation::kBackendData, Annotation::kBackendType, Annotation::kManager, Annotation::kPublicIp})
    out.key(prefix.key(annotation)).null();
  out.end_object().key("uid").string(uid).end_object().end_object();
}

void write_network_available(json::Writer& out, std::string_view uid, std::string_view now) {
  out.begin_object().key("metadata").begin_object().key("uid").string(uid).end_object();
  out.key("status").begin_object().key("conditions").begin_array().begin_object();
  out.key("type").string("NetworkUnavailable").key("status").string("False");
  out.key("lastHeartbeatTime").string(now).key("lastTransitionTime").string(now);
  out.key("reason").string("FlannelIsUp").key("message").string("Flannel is running on this node");
  out.end_object().end_array().end_object().end_object();
}

}  // namespace flannelette::registry::kube
