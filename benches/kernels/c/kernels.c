/* CPU-bound kernels, for the host's compiler and for clang's WebAssembly: no library, no calls of the host, a checksum each.
 * `n` is how often the work is done. */
#include <stddef.h>
#include <stdint.h>

#define KERNEL(name) __attribute__((noinline, EXPORTED("kernel_" #name))) uint32_t kernel_##name(uint32_t n)
#ifdef __wasm__
#define EXPORTED(name) export_name(name)
#else
#define EXPORTED(name) used
#endif

static uint32_t random_state;

static uint32_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    return random_state ^= random_state << 5;
}

static uint32_t mix(uint32_t hash, uint32_t value) { return (hash ^ value) * 0x01000193u; }

/* ---- matmul: 96 x 96 doubles ---- */
enum { SIDE = 96 };
static double left[SIDE][SIDE], right[SIDE][SIDE], product[SIDE][SIDE];

KERNEL(matmul) {
    uint32_t sum = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            left[i][j] = i * 3 % 17 - j % 5;
            right[i][j] = j * 7 % 13 + i % 3;
        }
    while (n--) {
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++) {
                double dot = 0;
                for (int k = 0; k < SIDE; k++)
                    dot += left[i][k] * right[k][j];
                product[i][j] = dot;
            }
        sum = mix(sum, (uint32_t)(int32_t)product[n % SIDE][7]);
        left[n % SIDE][3] += 1;
    }
    return sum;
}

/* ---- stencil: heat on a grid of floats ---- */
static float grid[2][130][130];

KERNEL(stencil) {
    for (int i = 0; i < 130; i++)
        for (int j = 0; j < 130; j++)
            grid[0][i][j] = grid[1][i][j] = (float)(i * j % 31);
    for (uint32_t step = 0; step < n; step++) {
        float(*from)[130] = grid[step & 1], (*to)[130] = grid[~step & 1];
        for (int i = 1; i < 129; i++)
            for (int j = 1; j < 129; j++)
                to[i][j] = 0.2f * (from[i][j] + from[i - 1][j] + from[i + 1][j] + from[i][j - 1] + from[i][j + 1]);
    }
    return (uint32_t)(grid[0][64][64] * 1000);
}

/* ---- sha256 (FIPS 180-4) ---- */
static const uint32_t ROUND[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
static uint8_t message[4096];

static uint32_t turn(uint32_t x, int by) { return x >> by | x << (32 - by); }

static void sha256_block(uint32_t state[8], const uint8_t *block) {
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t b = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    for (int i = 0; i < 8; i++)
        s[i] = state[i];
    for (int i = 0; i < 64; i++) {
        uint32_t a = s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + ROUND[i] + w[i];
        uint32_t b = (turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        s[7] = s[6], s[6] = s[5], s[5] = s[4], s[4] = s[3] + a;
        s[3] = s[2], s[2] = s[1], s[1] = s[0], s[0] = a + b;
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

KERNEL(sha256) {
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)(i * 31);
    while (n--)
        for (size_t i = 0; i < sizeof message; i += 64)
            sha256_block(state, message + i);
    return state[0];
}

/* ---- hash: a table with open addressing ---- */
enum { SLOTS = 1 << 14 };
static struct { uint32_t key, value; } table[SLOTS];

static uint32_t *lookup(uint32_t key) {
    uint32_t at = key * 2654435761u >> 18;
    while (table[at].key != 0 && table[at].key != key)
        at = (at + 1) % SLOTS;
    table[at].key = key;
    return &table[at].value;
}

KERNEL(hash) {
    uint32_t sum = 0;
    while (n--) {
        for (int i = 0; i < SLOTS; i++)
            table[i].key = table[i].value = 0;
        random_state = 2463534242u + n;
        for (int i = 0; i < 60000; i++)
            *lookup(next_random() % 10000 + 1) += (uint32_t)i;
        for (uint32_t key = 1; key < 200; key++)
            sum = mix(sum, *lookup(key));
    }
    return sum;
}

/* ---- regex: backtracking, with . * + ? ^ $ and classes of letters ---- */
static int match_here(const char *pattern, const char *text);

static int one(char wanted, char c) { return wanted == '.' ? c != 0 : wanted == '#' ? c >= '0' && c <= '9' : wanted == c; }

static int match_many(char wanted, const char *pattern, const char *text, int least) {
    const char *end = text;
    while (one(wanted, *end))
        end++;
    for (; end >= text + least; end--)
        if (match_here(pattern, end))
            return 1;
    return 0;
}

static int match_here(const char *pattern, const char *text) {
    if (pattern[0] == 0)
        return 1;
    if (pattern[0] == '$' && pattern[1] == 0)
        return *text == 0;
    switch (pattern[1]) {
    case '*': return match_many(pattern[0], pattern + 2, text, 0);
    case '+': return match_many(pattern[0], pattern + 2, text, 1);
    case '?': return (one(pattern[0], *text) && match_here(pattern + 2, text + 1)) || match_here(pattern + 2, text);
    }
    return one(pattern[0], *text) && match_here(pattern + 1, text + 1);
}

static int match(const char *pattern, const char *text) {
    if (*pattern == '^')
        return match_here(pattern + 1, text);
    do
        if (match_here(pattern, text))
            return 1;
    while (*text++);
    return 0;
}

static const char *const PATTERNS[] = {"a.*b.*c.*d$", "##?:##", "^x*y+z?w", "e.*r.*r.*o.*r", "lo+ng.*line$"};
static const char *const TEXTS[] = {
    "the quick brown fox jumps over the lazy dog at 12:30 and does not stop before 7:15",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbcccccccccccccccccccccccccc",
    "xxxxxxxxxxxxxxxxxxxxyyyyyyyyyyyw and then an error, or terror, for the reader of a loong line",
};

KERNEL(regex) {
    uint32_t sum = 0;
    while (n--)
        for (size_t i = 0; i < sizeof PATTERNS / sizeof *PATTERNS; i++)
            for (size_t j = 0; j < sizeof TEXTS / sizeof *TEXTS; j++)
                sum = mix(sum, (uint32_t)match(PATTERNS[i], TEXTS[j]) + 1);
    return sum;
}

/* ---- mandelbrot ---- */
KERNEL(mandelbrot) {
    uint32_t sum = 0;
    while (n--)
        for (int y = 0; y < 80; y++)
            for (int x = 0; x < 80; x++) {
                double cr = x / 40.0 - 1.5, ci = y / 40.0 - 1.0, r = 0, i = 0;
                int steps = 0;
                while (steps < 100 && r * r + i * i < 4) {
                    double next = r * r - i * i + cr;
                    i = 2 * r * i + ci;
                    r = next;
                    steps++;
                }
                sum = mix(sum, (uint32_t)steps);
            }
    return sum;
}

/* ---- sort: quicksort through a function pointer, as qsort has it ---- */
static int32_t numbers[20000];

static int ascending(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static int descending(const void *a, const void *b) { return ascending(b, a); }

static int (*volatile const ORDERS[])(const void *, const void *) = {ascending, descending};

static void sort(int32_t *from, int32_t *to, int (*compare)(const void *, const void *)) {
    while (to - from > 12) {
        int32_t pivot = from[(to - from) / 2], *low = from, *high = to - 1;
        for (;;) {
            while (compare(low, &pivot) < 0)
                low++;
            while (compare(high, &pivot) > 0)
                high--;
            if (low >= high)
                break;
            int32_t swapped = *low;
            *low++ = *high, *high-- = swapped;
        }
        if (low - from < to - low)
            sort(from, low, compare), from = low;
        else
            sort(low, to, compare), to = low;
    }
    for (int32_t *at = from + 1; at < to; at++) {
        int32_t value = *at, *hole = at;
        for (; hole > from && compare(hole - 1, &value) > 0; hole--)
            *hole = hole[-1];
        *hole = value;
    }
}

KERNEL(sort) {
    uint32_t sum = 0;
    random_state = 88675123;
    while (n--) {
        for (size_t i = 0; i < 20000; i++)
            numbers[i] = (int32_t)next_random();
        sort(numbers, numbers + 20000, ORDERS[n & 1]);
        sum = mix(sum, (uint32_t)numbers[n % 20000]);
    }
    return sum;
}

/* ---- lists: a linked list that is searched, reversed and merge-sorted ---- */
struct node { struct node *next; int32_t value, key; };
static struct node nodes[3000];

static struct node *merge_sort(struct node *list, int len) {
    if (len == 1) {
        list->next = NULL;
        return list;
    }
    struct node *second = list, head, *tail = &head;
    for (int i = 0; i < len / 2; i++)
        second = second->next;
    struct node *b = merge_sort(second, len - len / 2), *a = merge_sort(list, len / 2);
    while (a != NULL && b != NULL) {
        struct node **least = a->key <= b->key ? &a : &b;
        tail = tail->next = *least;
        *least = (*least)->next;
    }
    tail->next = a != NULL ? a : b;
    return head.next;
}

KERNEL(lists) {
    uint32_t sum = 0;
    while (n--) {
        random_state = 362436069u + n;
        for (int i = 0; i < 3000; i++) {
            nodes[i].next = i < 2999 ? &nodes[i + 1] : NULL;
            nodes[i].value = i, nodes[i].key = (int32_t)(next_random() % 5000);
        }
        struct node *list = merge_sort(nodes, 3000), *reversed = NULL;
        for (int wanted = 0; wanted < 5000; wanted += 250) {
            struct node *at = list;
            while (at != NULL && at->key < wanted)
                at = at->next;
            sum = mix(sum, at != NULL ? (uint32_t)at->value : 7);
        }
        while (list != NULL) {
            struct node *next = list->next;
            list->next = reversed;
            reversed = list, list = next;
        }
        sum = mix(sum, (uint32_t)reversed->value);
    }
    return sum;
}

/* ---- states: numbers in a text, by a state machine with a switch ---- */
static const char INPUT[] = "5012,1.25e-10,-7,+.5,0x1F,oops,-874.5E+3,12a,,3.,99999,1e,--4,0xZ,7.25,.e,+-1,6E5,";

KERNEL(states) {
    enum { START, SIGN, INT, POINT, FRACTION, EXP, EXP_SIGN, EXP_DIGITS, ZERO, HEX, BAD, STATES } state;
    uint32_t counts[STATES] = {0}, sum = 0;
    while (n--) {
        state = START;
        for (const char *at = INPUT; *at; at++) {
            char c = *at;
            int digit = c >= '0' && c <= '9';
            if (c == ',') {
                counts[state]++;
                state = START;
                continue;
            }
            switch (state) {
            case START: state = c == '+' || c == '-' ? SIGN : c == '0' ? ZERO : digit ? INT : c == '.' ? POINT : BAD; break;
            case SIGN: state = digit ? INT : c == '.' ? POINT : BAD; break;
            case ZERO: state = c == 'x' ? HEX : digit ? INT : c == '.' ? FRACTION : BAD; break;
            case INT: state = digit ? INT : c == '.' ? FRACTION : c == 'e' || c == 'E' ? EXP : BAD; break;
            case POINT: state = digit ? FRACTION : BAD; break;
            case FRACTION: state = digit ? FRACTION : c == 'e' || c == 'E' ? EXP : BAD; break;
            case EXP: state = c == '+' || c == '-' ? EXP_SIGN : digit ? EXP_DIGITS : BAD; break;
            case EXP_SIGN: case EXP_DIGITS: state = digit ? EXP_DIGITS : BAD; break;
            case HEX: state = digit || (c >= 'A' && c <= 'F') ? HEX : BAD; break;
            default: break;
            }
        }
        sum = mix(sum, counts[n % STATES]);
    }
    return sum;
}

/* ---- queens: recursion ---- */
static uint32_t place(uint32_t all, uint32_t columns, uint32_t left_down, uint32_t right_down) {
    if (columns == all)
        return 1;
    uint32_t found = 0;
    for (uint32_t free = all & ~(columns | left_down | right_down); free != 0; free &= free - 1) {
        uint32_t bit = free & -free;
        found += place(all, columns | bit, (left_down | bit) << 1, (right_down | bit) >> 1);
    }
    return found;
}

KERNEL(queens) {
    uint32_t sum = 0;
    while (n--)
        /* Another board in each round, so that no compiler does it once. */
        sum = mix(sum, place((1u << (7 + n % 2)) - 1, 0, 0, 0) + n);
    return sum;
}

/* ---- lz: finding repetitions, as compressors do ---- */
static uint8_t text[32768];
static uint16_t last[4096];

KERNEL(lz) {
    uint32_t sum = 0;
    random_state = 521288629;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i > 100 && next_random() % 4 ? text[i - 1 - next_random() % 97] : (uint8_t)(next_random() % 24);
    while (n--) {
        for (int i = 0; i < 4096; i++)
            last[i] = 0;
        for (size_t i = 0; i + 16 < sizeof text;) {
            uint32_t hash = (text[i] << 16 | text[i + 1] << 8 | text[i + 2]) * 2654435761u >> 20;
            size_t from = last[hash], len = 0;
            last[hash] = (uint16_t)i;
            while (len < 16 && text[from + len] == text[i + len])
                len++;
            sum = mix(sum, (uint32_t)len);
            i += len > 3 && from < i ? len : 1;
        }
        text[n % sizeof text]++;
    }
    return sum;
}

/* ---- records: a heap of structs that are copied whole, of which some are cleared ---- */
struct record { uint64_t key; uint32_t count, fields[21]; };
enum { RECORDS = 2000 };
static struct record heap[RECORDS];

static void sift(size_t at, size_t len, const struct record *record) {
    struct record moved = *record;
    for (size_t child; (child = 2 * at + 1) < len; at = child) {
        child += child + 1 < len && heap[child + 1].key > heap[child].key;
        if (heap[child].key <= moved.key)
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

KERNEL(records) {
    uint32_t sum = 0;
    random_state = 88675123;
    while (n--) {
        for (size_t i = 0; i < RECORDS; i++) {
            struct record record = {.key = next_random(), .fields = {[3] = (uint32_t)i}};
            heap[i] = record;
        }
        for (size_t i = RECORDS / 2; i-- > 0;)
            sift(i, RECORDS, &heap[i]);
        for (size_t len = RECORDS; --len > 0;) {
            struct record last = heap[len];
            heap[len] = heap[0];
            sift(0, len, &last);
        }
        sum = mix(sum, heap[n % RECORDS].fields[3]);
    }
    return sum;
}
