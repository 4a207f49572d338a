// SPDX-License-Identifier: Apache-2.0
// What is durable and when: the content by its fsync, the name by that of its directory.
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_fd(int fd, size_t max, char **text, size_t *len) {
	struct stat st;
	size_t n = 0, size;
	char *t;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > (off_t)max)
		return -EFBIG;
	size = (size_t)st.st_size;
	t = malloc(size + 1);
	if (t == NULL)
		return -ENOMEM;
	while (n < size) {
		ssize_t got = read(fd, t + n, size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(t);
			return -errno;
		}
		if (got == 0)
			break;
		n += (size_t)got;
	}
	t[n] = '\0';
	*text = t;
	*len = n;
	return 0;
}

int file_read(const char *path, size_t max, char **text, size_t *len) {
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ret;

	if (fd < 0)
		return -errno;
	ret = read_fd(fd, max, text, len);
	close(fd);
	return ret;
}

static int write_all(int fd, const char *text, size_t len) {
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

// The rename itself is durable only once its directory is.
static int sync_directory(const char *path) {
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd, ret = 0;

	snprintf(dir, sizeof(dir), "%.*s", slash == NULL ? 1 : (int)(slash - path) + 1,
		 slash == NULL ? "." : path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0 && errno != EINVAL)
		ret = -errno;
	close(fd);
	return ret;
}

int file_replace(const char *path, const char *text, size_t len) {
	char temp[PATH_MAX];
	int fd, ret;

	if (snprintf(temp, sizeof(temp), "%s.new", path) >= (int)sizeof(temp))
		return -ENAMETOOLONG;
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	ret = write_all(fd, text, len);
	if (close(fd) < 0 && ret == 0)
		ret = -errno;
	if (ret == 0 && rename(temp, path) < 0)
		ret = -errno;
	if (ret < 0)
		unlink(temp);
	return ret < 0 ? ret : sync_directory(path);
}

int file_set_aside(const char *path, char aside[PATH_MAX]) {
	for (int i = 0; i < 1000; i++) {
		int len = i == 0 ? snprintf(aside, PATH_MAX, "%s.damaged", path)
				 : snprintf(aside, PATH_MAX, "%s.damaged.%d", path, i);

		if (len < 0 || len >= PATH_MAX)
			return -ENAMETOOLONG;
		if (renameat2(AT_FDCWD, path, AT_FDCWD, aside, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int file_make_directories(const char *path) {
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, n + 1);
	for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}
