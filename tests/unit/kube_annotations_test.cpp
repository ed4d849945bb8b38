// SPDX-License-Identifier: Apache-2.0
// The names of flannel's annotations under any prefix.
#include <doctest/doctest.h>

#include <string>

#include "registry/kube/annotations.hpp"

namespace flannelette::registry::kube {

TEST_SUITE("registry/kube_annotations") {
  TEST_CASE("a prefix is completed as flanneld does it") {
    struct Row {
      const char* given;
      const char* used;
    };
    for (const Row& row : {
             Row{"flannel.alpha.coreos.com", "flannel.alpha.coreos.com/"},
             Row{"flannel.alpha.coreos.com/", "flannel.alpha.coreos.com/"},
             Row{"example.org/overlay", "example.org/overlay-"},
             Row{"example.org/overlay-", "example.org/overlay-"},
             Row{"example.org/a_b-2", "example.org/a_b-2-"},
             Row{"a.b-", "a.b-/"},
             Row{"0.1", "0.1/"},
         }) {
      CAPTURE(row.given);
      const auto prefix = AnnotationPrefix::parse(row.given);
      REQUIRE(prefix);
      CHECK(prefix->view() == row.used);
    }
    CHECK(AnnotationPrefix().view() == "flannel.alpha.coreos.com/");
  }

  TEST_CASE("a prefix that cannot be one is refused, and the error says why") {
    const std::string slashes = "kube-annotation-prefix has more than one slash";
    const std::string form =
        "kube-annotation-prefix must be a domain, and after a slash lower-case letters, digits, - or _";
    const std::string length = "kube-annotation-prefix is too long for the name of an annotation";
    struct Row {
      std::string given;
      std::string why;
    };
    const Row rows[] = {
        {"a.b/c/d", slashes},
        {"a.b//", slashes},
        {"", form},
        {"/", form},
        {"nodomain", form},
        {"nodomain/x", form},
        {".a/x", form},
        {"a./x", form},
        {"a..b/x", form},
        {"Example.org/x", form},
        {"example.org/X", form},
        {"example.org/x.y", form},
        {"example.org /x", form},
        {std::string(250, 'a') + ".bc", ""},
        {std::string(250, 'a') + ".bcd", length},
        {"a.b/" + std::string(41, 'x'), ""},
        {"a.b/" + std::string(41, 'x') + "-", ""},
        {"a.b/" + std::string(42, 'x'), length},
        {"a.b/" + std::string(100'000, 'x'), length},
    };
    for (const Row& row : rows) {
      CAPTURE(row.given.substr(0, 300));
      const auto prefix = AnnotationPrefix::parse(row.given);
      CHECK(bool(prefix) == row.why.empty());
      if (!prefix) CHECK(prefix.error().context == row.why);
    }
  }

  TEST_CASE("names are found under their prefix only, and exactly") {
    const AnnotationPrefix usual;
    CHECK(usual.find("flannel.alpha.coreos.com/backend-data") == Annotation::kBackendData);
    CHECK(usual.find("flannel.alpha.coreos.com/backend-type") == Annotation::kBackendType);
    CHECK(usual.find("flannel.alpha.coreos.com/backend-v6-data") == Annotation::kBackendV6Data);
    CHECK(usual.find("flannel.alpha.coreos.com/kube-subnet-manager") == Annotation::kManager);
    CHECK(usual.find("flannel.alpha.coreos.com/public-ip") == Annotation::kPublicIp);
    CHECK(usual.find("flannel.alpha.coreos.com/public-ip-overwrite") == Annotation::kPublicIpOverwrite);
    CHECK(usual.find("flannel.alpha.coreos.com/public-ipv6") == Annotation::kPublicIpv6);
    for (const char* other : {"", "flannel.alpha.coreos.com/", "flannel.alpha.coreos.com/backend",
                              "flannel.alpha.coreos.com/backend-data2", "flannel.alpha.coreos.com/Public-IP",
                              "flannel.alpha.coreos.com/x-public-ip", "public-ip", "example.org/public-ip"}) {
      CAPTURE(other);
      CHECK_FALSE(usual.find(other));
    }
    const auto second = AnnotationPrefix::parse("example.org/overlay");
    REQUIRE(second);
    CHECK(second->find("example.org/overlay-public-ip") == Annotation::kPublicIp);
    CHECK_FALSE(second->find("example.org/public-ip"));
    CHECK_FALSE(second->find("example.org/overlay/public-ip"));
  }

  TEST_CASE("each name that is written is found again, the longest prefix included") {
    const auto longest = AnnotationPrefix::parse(std::string(250, 'a') + ".bc/" + std::string(41, 'x'));
    REQUIRE(longest);
    for (std::size_t i = 0; i < kAnnotationCount; ++i) {
      const auto annotation = static_cast<Annotation>(i);
      CHECK(longest->find(longest->key(annotation)) == annotation);
      CHECK(AnnotationPrefix().key(annotation).view() ==
            "flannel.alpha.coreos.com/" + std::string(name(annotation)));
    }
  }
}

}  // namespace flannelette::registry::kube
