// SPDX-License-Identifier: Apache-2.0
#include "system/certificates.hpp"

#include <sys/mount.h>

#include <stdexcept>

namespace flannelette::tests {

Certificates::Certificates(int days) : days_(std::to_string(days)) {
  write_file(file("conf"), "[req]\ndistinguished_name=dn\n[dn]\n");
  openssl(
      "-subj /CN=test-ca -addext basicConstraints=critical,CA:TRUE -addext "
      "keyUsage=critical,keyCertSign,cRLSign",
      "ca");
}

void Certificates::sign(const std::string& name, const std::string& subject, const std::string& names) const {
  openssl("-subj " + subject + " -CA " + file("ca.pem") + " -CAkey " + file("ca.key") +
              " -addext basicConstraints=critical,CA:FALSE -addext extendedKeyUsage=serverAuth,clientAuth" +
              (names.empty() ? "" : " -addext subjectAltName=" + names),
          name);
}

Etcd::Options Certificates::etcd(const std::string& server) const {
  return {.arguments = {"--cert-file", file(server + ".pem"), "--key-file", file(server + ".key")},
          .client_url = "https://172.30.0.1:2379",
          .ctl = {"--cacert", file("ca.pem"), "--insecure-skip-tls-verify"}};
}

Etcd::Options Certificates::etcd_for_known_clients(const std::string& server) const {
  Etcd::Options options = etcd(server);
  options.arguments.insert(options.arguments.end(),
                           {"--client-cert-auth", "--trusted-ca-file", file("ca.pem")});
  options.ctl.insert(options.ctl.end(), {"--cert", file("client.pem"), "--key", file("client.key")});
  return options;
}

void Certificates::openssl(const std::string& what, const std::string& name) const {
  must_run({.args = words("openssl req -x509 -config " + file("conf") +
                          " -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days " + days_ +
                          " -keyout " + file(name + ".key") + " -out " + file(name + ".pem") + " " + what)});
}

HostNames::HostNames(const std::string& names) {
  const std::string& why_not = enter_private_namespaces();
  if (!why_not.empty()) throw std::runtime_error(why_not);
  write_file(files_.file("hosts"), "127.0.0.1 localhost\n172.30.0.1 " + names + "\n");
  if (mount(files_.file("hosts").c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr) != 0)
    throw std::runtime_error("cannot mount a file over /etc/hosts");
}

HostNames::~HostNames() { umount2("/etc/hosts", MNT_DETACH); }

}  // namespace flannelette::tests
