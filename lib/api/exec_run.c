// SPDX-License-Identifier: Apache-2.0
// A program beside the loop: two pipes, a pidfd and a timer.
#include "api/exec_run.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAP_MS 100 // how long a killed process may take to vanish

struct exec_run {
	pid_t pid;
	int out_fd, err_fd, pid_fd;
	struct event *on_out, *on_err, *on_exit, *timer;
	char *out;
	size_t n, room;
	char err[EXEC_ERR_MAX + 1];
	size_t n_err;
	int error;
	void (*done)(void *arg, const struct exec_result *r);
	void *arg;
};

static void free_event(struct event *e) {
	if (e != NULL)
		event_free(e);
}

static void close_fd(int fd) {
	if (fd >= 0)
		close(fd);
}

static void run_free(struct exec_run *r) {
	free_event(r->on_out);
	free_event(r->on_err);
	free_event(r->on_exit);
	free_event(r->timer);
	close_fd(r->out_fd);
	close_fd(r->err_fd);
	close_fd(r->pid_fd);
	free(r->out);
	free(r);
}

static void signal_group(const struct exec_run *r) {
	kill(-r->pid, SIGKILL);
	kill(r->pid, SIGKILL); // before it is a group
}

static void give_up(struct exec_run *r, int error) {
	if (r->error == 0)
		r->error = error;
	signal_group(r);
}

static bool keep(struct exec_run *r, const char *data, size_t n) {
	if (r->n + n > EXEC_OUT_MAX)
		return false;
	if (r->n + n + 1 > r->room) {
		size_t room = 2 * r->room + n + 1;
		char *grown = realloc(r->out, room);

		if (grown == NULL)
			return false;
		r->out = grown;
		r->room = room;
	}
	memcpy(r->out + r->n, data, n);
	r->n += n;
	r->out[r->n] = '\0';
	return true;
}

// Take what is there; false: the end.
static bool drain_out(struct exec_run *r) {
	char buf[16384];
	ssize_t n;

	while ((n = read(r->out_fd, buf, sizeof(buf))) > 0) {
		if (!keep(r, buf, (size_t)n)) {
			give_up(r, -EFBIG);
			return false;
		}
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static bool drain_err(struct exec_run *r) {
	char buf[4096];
	ssize_t n;

	while ((n = read(r->err_fd, buf, sizeof(buf))) > 0) {
		size_t left = EXEC_ERR_MAX - r->n_err;

		left = (size_t)n < left ? (size_t)n : left;
		memcpy(r->err + r->n_err, buf, left);
		r->n_err += left;
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void on_out(evutil_socket_t fd, short what, void *arg) {
	struct exec_run *r = arg;

	(void)fd;
	(void)what;
	if (!drain_out(r))
		event_del(r->on_out);
}

static void on_err(evutil_socket_t fd, short what, void *arg) {
	struct exec_run *r = arg;

	(void)fd;
	(void)what;
	if (!drain_err(r))
		event_del(r->on_err);
}

static void on_late(evutil_socket_t fd, short what, void *arg) {
	(void)fd;
	(void)what;
	give_up(arg, -ETIMEDOUT); // its end comes through the pidfd
}

static void on_exit_of(evutil_socket_t fd, short what, void *arg) {
	struct exec_run *r = arg;
	struct exec_result result = {0};

	(void)fd;
	(void)what;
	signal_group(r); // children that it left behind, while the dead one still holds its number
	if (waitpid(r->pid, &result.status, WNOHANG) != r->pid)
		r->error = r->error != 0 ? r->error : -EIO;
	drain_out(r); // what it wrote last; a child that still holds the pipe is not waited for
	drain_err(r);
	result.error = r->error;
	result.out = r->out != NULL ? r->out : "";
	result.n = r->n;
	result.err = r->err;
	r->done(r->arg, &result);
	run_free(r);
}

// --- the start ---

static int spawn(struct exec_run *r, char *const argv[], char *const env[], int out, int err) {
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t all, none;
	int ret;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_adddup2(&files, err, 2);
	posix_spawn_file_actions_addclosefrom_np(&files, 3);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	ret = posix_spawnp(&r->pid, argv[0], &files, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return -ret;
}

// Our end does not block, the program's does.
static int open_pipe(int *ours, int *its) {
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	*ours = fds[0];
	*its = fds[1];
	return 0;
}

static int start(struct exec_run *r, char *const argv[], char *const env[]) {
	int out = -1, err = -1;
	int ret = open_pipe(&r->out_fd, &out);

	if (ret == 0)
		ret = open_pipe(&r->err_fd, &err);
	if (ret == 0)
		ret = spawn(r, argv, env, out, err);
	close_fd(out);
	close_fd(err);
	return ret;
}

static int watch(struct exec_run *r, struct event_base *base, uint32_t timeout_ms) {
	const struct timeval in = {.tv_sec = timeout_ms / 1000,
				   .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000};

	r->pid_fd = pidfd_open(r->pid, 0);
	if (r->pid_fd < 0)
		return -errno;
	r->on_out = event_new(base, r->out_fd, EV_READ | EV_PERSIST, on_out, r);
	r->on_err = event_new(base, r->err_fd, EV_READ | EV_PERSIST, on_err, r);
	r->on_exit = event_new(base, r->pid_fd, EV_READ, on_exit_of, r);
	r->timer = evtimer_new(base, on_late, r);
	if (r->on_out == NULL || r->on_err == NULL || r->on_exit == NULL || r->timer == NULL ||
	    event_add(r->on_out, NULL) < 0 || event_add(r->on_err, NULL) < 0 ||
	    event_add(r->on_exit, NULL) < 0 || evtimer_add(r->timer, &in) < 0)
		return -ENOMEM;
	return 0;
}

int exec_start(struct exec_run **out, struct event_base *base, char *const argv[],
	       char *const env[], uint32_t timeout_ms,
	       void (*done)(void *arg, const struct exec_result *r), void *arg) {
	struct exec_run *r = calloc(1, sizeof(*r));
	int ret;

	if (r == NULL)
		return -ENOMEM;
	r->out_fd = r->err_fd = r->pid_fd = -1;
	r->done = done;
	r->arg = arg;
	ret = start(r, argv, env);
	if (ret < 0) {
		run_free(r);
		return ret;
	}
	ret = watch(r, base, timeout_ms);
	if (ret < 0) {
		exec_kill(r);
		return ret;
	}
	*out = r;
	return 0;
}

void exec_kill(struct exec_run *r) {
	struct pollfd exit = {.fd = r->pid_fd, .events = POLLIN};

	signal_group(r);
	poll(&exit, 1, REAP_MS);
	waitpid(r->pid, NULL, WNOHANG);
	run_free(r);
}
