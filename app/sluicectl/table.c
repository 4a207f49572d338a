// SPDX-License-Identifier: Apache-2.0
// Collect cells, measure columns, print.
#include "table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define GAP 3

struct table {
	const char *const *headers;
	size_t n_columns;
	char **cells; // row after row
	size_t n_cells, room;
	bool out_of_memory;
};

struct table *table_create(const char *const *headers, size_t n_columns) {
	struct table *t = calloc(1, sizeof(*t));

	if (t != NULL) {
		t->headers = headers;
		t->n_columns = n_columns;
	}
	return t;
}

void table_destroy(struct table *t) {
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

static bool grow(struct table *t) {
	size_t room = t->room == 0 ? 64 : t->room * 2;
	char **cells = realloc(t->cells, room * sizeof(*cells));

	if (cells == NULL)
		return false;
	t->cells = cells;
	t->room = room;
	return true;
}

void table_cell(struct table *t, const char *text) {
	char *copy = strdup(text == NULL || text[0] == '\0' ? "-" : text);

	if (copy == NULL || (t->n_cells == t->room && !grow(t))) {
		t->out_of_memory = true;
		free(copy);
		return;
	}
	for (char *c = copy; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	t->cells[t->n_cells++] = copy;
}

// Characters, not bytes: continuation bytes of UTF-8 take no room.
static size_t text_width(const char *text) {
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

static bool is_right(const char *header) {
	return header[0] == '>';
}

static size_t column_width(const struct table *t, size_t column) {
	size_t width = text_width(t->headers[column] + is_right(t->headers[column]));

	for (size_t i = column; i < t->n_cells; i += t->n_columns) {
		size_t w = text_width(t->cells[i]);

		width = w > width ? w : width;
	}
	return width;
}

// No blanks behind the last column.
static void write_cell(FILE *out, const char *text, size_t width, bool right, bool last) {
	int pad = (int)(width - text_width(text));

	if (right)
		fprintf(out, "%*s%s", pad, "", text);
	else
		fprintf(out, "%s%*s", text, last ? 0 : pad, "");
	fprintf(out, "%*s", last ? 0 : GAP, "");
}

int table_write(const struct table *t, FILE *out) {
	size_t *width = calloc(t->n_columns, sizeof(*width));
	size_t rows = t->n_cells / t->n_columns;

	if (width == NULL || t->out_of_memory) {
		free(width);
		return -ENOMEM;
	}
	for (size_t c = 0; c < t->n_columns; c++)
		width[c] = column_width(t, c);
	for (size_t r = 0; r <= rows; r++) {
		for (size_t c = 0; c < t->n_columns; c++) {
			bool right = is_right(t->headers[c]);
			const char *text = r == 0 ? t->headers[c] + right
						  : t->cells[(r - 1) * t->n_columns + c];

			write_cell(out, text, width[c], right, c + 1 == t->n_columns);
		}
		putc('\n', out);
	}
	free(width);
	return ferror(out) ? -EIO : 0;
}
