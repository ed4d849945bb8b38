/* SPDX-License-Identifier: Apache-2.0
 *
 * The sockets of libmnl, which are all that is linked of it: for the processors that Debian has no libmnl.a of.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>
#include <unistd.h>

struct mnl_socket {
  int fd;
  struct sockaddr_nl address;
};

struct mnl_socket *mnl_socket_open2(int bus, int flags) {
  struct mnl_socket *const opened = calloc(1, sizeof *opened);
  if (opened == NULL) return NULL;
  opened->fd = socket(AF_NETLINK, SOCK_RAW | flags, bus);
  if (opened->fd >= 0) return opened;
  const int error = errno;
  free(opened);
  errno = error;
  return NULL;
}

int mnl_socket_bind(struct mnl_socket *nl, unsigned int groups, pid_t pid) {
  socklen_t size = sizeof nl->address;
  nl->address = (struct sockaddr_nl){.nl_family = AF_NETLINK, .nl_groups = groups, .nl_pid = (unsigned)pid};
  if (bind(nl->fd, (const struct sockaddr *)&nl->address, size) != 0) return -1;
  /* The kernel has chosen the port where none was asked for. */
  return getsockname(nl->fd, (struct sockaddr *)&nl->address, &size);
}

ssize_t mnl_socket_sendto(const struct mnl_socket *nl, const void *bytes, size_t size) {
  static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  return sendto(nl->fd, bytes, size, 0, (const struct sockaddr *)&kernel, sizeof kernel);
}

int mnl_socket_get_fd(const struct mnl_socket *nl) { return nl->fd; }

unsigned int mnl_socket_get_portid(const struct mnl_socket *nl) { return nl->address.nl_pid; }

int mnl_socket_close(struct mnl_socket *nl) {
  const int result = close(nl->fd);
  free(nl);
  return result;
}
