// SPDX-License-Identifier: Apache-2.0
// Make the listening socket: directory, stale file, mode.
#include "mgmt/socket.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

// Every missing directory of path's parents. What can't be made shows when the socket is bound.
static void make_parents(const char *path) {
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", path);
	for (char *at = strchr(dir + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
		*at = '\0';
		(void)mkdir(dir, 0755);
		*at = '/';
	}
}

// 0 when the way is free: no file, or a socket that refuses (whose process is dead), then removed.
static int clear_stale(const struct sockaddr_un *addr, struct error *err) {
	struct stat st;
	int fd, ret;

	if (lstat(addr->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, -EEXIST, "%s exists and is no socket", addr->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, -errno, "socket: %s", strerror(errno));
	ret = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 ? 0 : errno;
	close(fd);
	if (ret != ECONNREFUSED)
		return error_set(err, -EADDRINUSE, "%s is in use by another process",
				 addr->sun_path);
	if (unlink(addr->sun_path) < 0)
		return error_set(err, -errno, "%s: stale socket: %s", addr->sun_path,
				 strerror(errno));
	return 0;
}

// The mode is set before anyone can connect: nobody can before listen().
static int bind_and_listen(int fd, const struct sockaddr_un *addr, struct error *err) {
	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ||
	    chmod(addr->sun_path, 0660) < 0 || listen(fd, BACKLOG) < 0)
		return error_set(err, -errno, "%s: %s", addr->sun_path, strerror(errno));
	return 0;
}

int socket_listen(const char *path, struct error *err) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd, ret;

	if (path[0] == '\0' || strlen(path) >= sizeof(addr.sun_path))
		return error_set(err, -ENAMETOOLONG, "%s: a socket's path has 1 to %zu bytes", path,
				 sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	make_parents(path);
	ret = clear_stale(&addr, err);
	if (ret < 0)
		return ret;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, -errno, "socket: %s", strerror(errno));
	ret = bind_and_listen(fd, &addr, err);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return fd;
}
