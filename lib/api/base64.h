// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648, section 4), strict but for line breaks, both ways.
#ifndef SLUICE_API_BASE64_H
#define SLUICE_API_BASE64_H

// Texts only: what decodes to a NUL is a fault. *out is the caller's. Errors: -EINVAL, -ENOMEM.
int base64_decode(const char *text, char **out);
// NULL: out of memory.
char *base64_encode(const char *text);

#endif
