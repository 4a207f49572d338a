// SPDX-License-Identifier: Apache-2.0
// Text in aligned columns, as kubectl prints it: no lines, three blanks between columns, nothing
// cut.
//
// Cells are copied. Memory that runs out shows once, when the table is written. Pure.
#ifndef SLUICE_SLUICECTL_TABLE_H
#define SLUICE_SLUICECTL_TABLE_H

#include <stddef.h>
#include <stdio.h>

struct table;

// A table with a header line; headers must outlive it. A title that begins with '>' is of a column
// of numbers, set to the right (the '>' is not printed). NULL: no memory.
struct table *table_create(const char *const *headers, size_t n_columns);
void table_destroy(struct table *t); // NULL is fine
// The next cell, from left to right, row by row. NULL and "" become "-"; what would not print
// (control characters) becomes '?'.
void table_cell(struct table *t, const char *text);
// Write header and whole rows; columns are as wide as their widest cell, counted in characters of
// UTF-8.
// Errors: -ENOMEM, -EIO.
int table_write(const struct table *t, FILE *out);

#endif
