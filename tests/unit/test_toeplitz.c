// SPDX-License-Identifier: Apache-2.0
// Toeplitz: Microsoft's published vectors, and the linearity that SNAT ports by class rest on.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "net/addr.h"
#include "net/toeplitz.h"

// "Verifying the RSS Hash Calculation"
static const uint8_t key[TOEPLITZ_KEY] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2,
					  0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
					  0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4,
					  0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
					  0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

static const struct {
	const char *dst;
	uint16_t dst_port;
	const char *src;
	uint16_t src_port;
	uint32_t addresses, whole;
} vectors[] = {
	{"161.142.100.80", 1766, "66.9.149.187", 2794, 0x323e8fc2, 0x51ccc178},
	{"65.69.140.83", 4739, "199.92.111.2", 14230, 0xd718262a, 0xc626b0ea},
	{"12.22.207.184", 38024, "24.19.198.95", 12898, 0xd2d0a5de, 0x5c2b394a},
	{"209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xafc7327f},
	{"202.188.127.2", 1303, "153.39.163.191", 44251, 0x5d1809c5, 0x10e828a2},
	{"3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2cc18cd5, 0x40207d3d},
	{"ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0f0c461c, 0xdde51bbf},
	{"fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251,
	 0x4b61e985, 0x02d1feef},
};

static void microsofts_vectors_come_out(void **state) {
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct ip_addr src, dst;
		size_t size;

		assert_int_equal(ip_addr_parse(&src, vectors[i].src), 0);
		assert_int_equal(ip_addr_parse(&dst, vectors[i].dst), 0);
		size = src.family == 4 ? 4 : 16;
		assert_int_equal(toeplitz_part(key, 0, src.b, size) ^
					 toeplitz_part(key, size, dst.b, size),
				 vectors[i].addresses);
		assert_int_equal(toeplitz_tuple(key, src.family, src.b, dst.b,
						htons(vectors[i].src_port),
						htons(vectors[i].dst_port)),
				 vectors[i].whole);
	}
}

static void random_bytes(uint8_t *out, size_t n) {
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(random() >> 7);
}

static void the_hash_is_linear_in_its_input(void **state) {
	srandom(1);
	for (unsigned n = 0; n < 10000; n++) {
		uint8_t any_key[TOEPLITZ_KEY], a[36], b[36], sum[36];
		size_t cut = (size_t)random() % 37;
		uint32_t whole;

		random_bytes(any_key, sizeof(any_key));
		random_bytes(a, sizeof(a));
		random_bytes(b, sizeof(b));
		for (unsigned i = 0; i < 36; i++)
			sum[i] = a[i] ^ b[i];
		whole = toeplitz_part(any_key, 0, a, 36);
		assert_int_equal(toeplitz_part(any_key, 0, sum, 36),
				 whole ^ toeplitz_part(any_key, 0, b, 36));
		assert_int_equal(toeplitz_part(any_key, 0, a, cut) ^
					 toeplitz_part(any_key, cut, a + cut, 36 - cut),
				 whole);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(microsofts_vectors_come_out),
		cmocka_unit_test(the_hash_is_linear_in_its_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
