/* internal.h: private to config/: places, lines, sections, keywords and the readers of values. */
#ifndef IKETCP_CONFIG_INTERNAL_H
#define IKETCP_CONFIG_INTERNAL_H

#include "config/config.h"

#define DIAGNOSTICS_MAX ((size_t)1000)
#define SOURCE_FILES_MAX ((size_t)256)
#define SOURCE_OCTETS_MAX ((size_t)4 << 20) /* of all files of a configuration */
#define SOURCE_DEPTH_MAX 10 /* of includes, as Libreswan */
#define SECTIONS_MAX ((size_t)4096)
#define CONNECTIONS_MAX ((size_t)1024)
#define ALSO_MAX ((size_t)32) /* sections that one conn draws in, as Libreswan */
#define PAIRS_MAX ((size_t)16) /* Child SAs of one conn: IKE_CHILD_CONFIGS_MAX of ike.h */

/* ---- where something is, and what is wrong there (diagnostics.c) ---- */
struct place {
    const char *file; /* the source's */
    int line, column; /* 1 is the first; columns count octets */
};
/* Both add one diagnostic; `list` NULL: quiet. The same sentence at the same place is said once. */
void complain(struct diagnostics *list, struct place, const char *format, ...) PRINTF_LIKE(3, 4);
void warn_at(struct diagnostics *list, struct place, const char *format, ...) PRINTF_LIKE(3, 4);
/* In the order of the files of a source, then of lines and columns. */
void diagnostics_sort(struct diagnostics *, const struct config_source *);

/* ---- texts (source.c, pack.c) ---- */
struct source_file {
    char *path;
    char *text; /* NULL: there is none, `problem` says why */
    char *problem;
    bool serious; /* the problem is an error, else a warning */
    bool named; /* by a setting on that line: no part of the configuration itself, and maybe secret */
    uint32_t parent, line; /* which file includes or names it and where; the main file (index 0): 0, 0 */
};
struct config_source {
    struct source_file *file;
    size_t files, octets;
};
/* Takes copies; false: no memory or too many files. */
MUST_USE bool source_add(struct config_source *, const char *path, const char *text, const char *problem, bool serious,
    uint32_t parent, uint32_t line);
/* All of a file, malloc'd and NUL-terminated, at most `most` octets; NULL: *problem is a static sentence. `check` (may
 * be NULL) looks at the open descriptor first and returns what is wrong with it, or NULL. */
char *file_read(const char *path, size_t most, const char *(*check)(int fd), const char **problem);
const char *file_check_private(int fd); /* for secrets: a plain file of root's or ours that nobody else may read */
/* The pattern of an include as a path for glob(3): relative ones are put beside `includer`. malloc'd. */
char *include_pattern(const char *includer, const char *pattern, size_t length);

/* ---- lines (lines.c) ---- */
struct piece { /* a part of a text */
    const char *at;
    size_t length;
};
enum statement_kind {
    STATEMENT_VERSION,
    STATEMENT_SETUP,
    STATEMENT_CONN, /* value: the name */
    STATEMENT_INCLUDE, /* value: the pattern */
    STATEMENT_SETTING, /* key, value; value.at NULL: nothing after the equals sign */
    STATEMENT_BAD, /* column, problem */
};
struct statement {
    enum statement_kind kind;
    int line, column; /* of the first word, or of what is wrong */
    struct piece key, value;
    int value_column;
    char problem[200];
};
struct line_reader {
    const char *at;
    int line;
};
/* The next statement; blank lines, comments and x-... keys are passed over. False at the end. */
bool statement_next(struct line_reader *, struct statement *);

/* ---- keywords (keywords.c, known.c) ---- */
enum scope { SCOPE_SETUP = 1, SCOPE_CONN = 2, SCOPE_END = 4 };
struct setting;
struct reading { /* what a reader of a value gets */
    struct diagnostics *diagnostics; /* NULL: quiet */
    const struct setting *setting;
    const char *value;
};
struct choice {
    const char *name;
    int value; /* negative: refused, `why` says why */
    const char *why; /* for value >= 0: a warning */
};
struct keyword {
    const char *name; /* of an end: without left or right */
    uint8_t scope;
    size_t offset, size; /* in struct config, config_connection or config_end */
    bool (*read)(const struct reading *, const struct keyword *, void *at); /* false: complained. NULL: not done yet */
    uint64_t least, most; /* numbers and times */
    const struct choice *choice; /* enums and checks */
    const char *same_as; /* an older name of that keyword */
    bool repeats; /* several lines add up */
    /* Of what is not done (known.c): */
    const char *harmless; /* values that say what iketcp does anyway, between blanks: no complaint */
    bool ours; /* no option of Libreswan, one that iketcp will have */
    const char *refused; /* why ignoring it would be wrong: an error; NULL: a warning */
};
extern const struct keyword keywords_done[], keywords_known[];
extern const size_t keywords_done_count, keywords_known_count;
#define KEYWORDS_DONE_MAX 96
#define SIDE_LEFT 0
#define SIDE_RIGHT 1
/* Finds a name as written; *side is SIDE_LEFT for what has no side, *bare: an end's keyword without left or right (it
 * means right, as in Libreswan). NULL: unknown. */
const struct keyword *keyword_find(struct piece name, int *side, bool *bare);
size_t keyword_index(const struct keyword *); /* in keywords_done */
/* The known name that is nearest to `name` in a scope (SCOPE_*, a mask), NULL when nothing is near. */
const char *keyword_nearest(struct piece name, unsigned scope, char out[64]);
/* Edit distance with transpositions, without regard to case; at most 64 octets a side, else a large number. */
size_t edit_distance(struct piece a, struct piece b);

/* ---- sections (sections.c) ---- */
struct setting {
    const struct keyword *keyword;
    int side;
    char *value;
    const struct source_file *named; /* the file that the value names; NULL: none, or it was not looked for */
    struct place key_place, value_place;
};
struct section {
    char *name; /* NULL: config setup */
    struct place place;
    struct setting *setting;
    size_t settings;
    bool is_default; /* conn %default */
    int colour; /* for finding loops of also= */
};
struct sections {
    struct section *list;
    size_t count;
    bool no_memory;
};
/* Reads all statements; complains about those it can't place. */
void sections_read(const struct config_source *, struct sections *, struct diagnostics *);
void sections_free(struct sections *);
const struct section *section_find(const struct sections *, const char *name, size_t length);
/* Complains about also= that name nothing or come back to where they began. */
void also_check(struct sections *, struct diagnostics *);

/* The settings that are in force for a conn: its own and those of its also= first, then those of %default. */
struct chosen {
    const struct setting *setting[KEYWORDS_DONE_MAX][2]; /* by keyword and side */
    const struct setting *more[2][CONFIG_SUBNETS_MAX]; /* leftsubnets, rightsubnets: they add up */
    size_t mores[2];
};
void settings_choose(const struct sections *, const struct section *, struct chosen *, struct diagnostics *);

/* ---- values (values.c, ends.c, identity.c, proposals.c) ---- */
typedef bool value_reader(const struct reading *, const struct keyword *, void *at);
value_reader read_bool, read_choice, read_check, read_seconds, read_milliseconds, read_percent, read_u16, read_u32;
value_reader read_tries, read_replay_window, read_esn, read_ports, read_listen, read_tun_name, read_also, read_authby;
value_reader read_tcponly, read_timeout, read_gateway, read_gateways, read_keylog, read_congestion;
value_reader read_tls_ports, read_pem, read_private_pem, read_web, read_proxy, read_server_name, read_alpn;
value_reader read_interface, read_interface_ip, read_mark, read_table;
value_reader read_host, read_id, read_subnet, read_subnets, read_source_ip, read_ike, read_esp, read_protoport;
/* "tcp/443", "17/1701", "icmp", "udp/%any", "tcp/1024-65535". A sentence, or NULL when *out is set. */
const char *protoport_parse(struct piece, struct config_protoport *out);
bool protoport_equal(const struct config_protoport *, const struct config_protoport *);
MUST_USE bool bool_parse(const char *text, bool *out);
/* The place of an octet of a value. */
struct place place_in(const struct setting *, size_t offset);
/* The next piece between any of `separators`, blanks around it cut off; false at the end. */
bool piece_next(const char *text, size_t *at, const char *separators, struct piece *out);
bool piece_is(struct piece, const char *word); /* without regard to case */
/* Ports with commas between them, each once; `yes` is `standard`, "no" is none. */
MUST_USE bool ports_parse(const struct reading *, uint16_t port[CONFIG_PORTS_MAX], size_t *count, uint16_t standard);
/* Letters, digits, '-', '_' and '.' with something between the dots; not digits alone, which is a mistyped address. */
bool is_host_name(const char *text);

/* How an identity is written (leftid, ipsec.secrets). A sentence, or NULL when *id is set. ID_NONE: any, or with
 * *unset the default. *warning (may be NULL) is set when Libreswan would read it otherwise. */
const char *identity_parse(const char *text, struct identity *id, bool *unset, const char **warning);
void identity_of_address(const struct address *, struct identity *);
bool identity_matches(const struct identity *, const struct identity *); /* names without regard to case */

/* Parses ike= (PROTOCOL_IKE) or esp= (PROTOCOL_ESP). ESP's lists get their ESN transforms later. */
bool proposals_parse(const struct reading *, uint8_t protocol, struct proposal_list *);
void proposals_default(uint8_t protocol, struct proposal_list *);
/* esn: adds the ESN transforms; pfs=no: takes KE transforms out and returns how many. */
size_t proposals_finish_esp(struct proposal_list *, bool esn_yes, bool esn_no, bool pfs);

/* ---- connections (connection.c, revision.c) ---- */
struct builder {
    const struct sections *sections;
    struct diagnostics *diagnostics;
    const struct section *section;
    struct chosen chosen;
    struct config_connection *connection;
    const struct config *config; /* with those that came before */
};
/* device.c: what a connection says about a device of its own, beside the others. */
void check_device(struct builder *);
/* Fills builder->connection from builder->section; false: left out (an error, or auto=ignore). */
bool connection_build(struct builder *);
/* A whole number at the beginning, decimal or 0x...; *rest is behind it. False: there is none, or it is too large. */
MUST_USE bool number_at(const char *text, uint64_t most, uint64_t *value, const char **rest);
/* An address of a subnet as address/bits (or address/mask); false: it is none. */
MUST_USE bool cidr_parse(const char *text, struct address *, uint8_t *bits);
/* The setting in force for a keyword by name; NULL: the default. */
const struct setting *chosen_by_name(const struct chosen *, const char *name, int side);
uint64_t connection_revision(const struct config_connection *);

/* ---- config.c ---- */
struct config_file {
    char *path, *text; /* wiped before it is freed */
};

/* ---- algorithms (algorithms.c) ---- */
enum algorithm_kind {
    ALGORITHM_ENCR,
    ALGORITHM_HASH, /* integrity or PRF, by where it stands */
    ALGORITHM_INTEG,
    ALGORITHM_PRF,
    ALGORITHM_KE,
    ALGORITHM_NONE, /* "none", "null" */
    ALGORITHM_NO_KE,
    ALGORITHM_WEAK, /* `why` says why not */
    ALGORITHM_MISSING, /* sound, but not done here */
};
struct algorithm {
    const char *name;
    enum algorithm_kind kind;
    uint16_t id; /* ENCR_*, AUTH_*, KE_*; hashes: 256, 384, 512 */
    uint16_t bits; /* of an ENCR: 0: 256 and then 128, 1: no size at all */
    const char *why;
};
/* Looks a spelling up (Libreswan's or strongSwan's); *bits gets a key size that follows the name. NULL: unknown. */
const struct algorithm *algorithm_find(struct piece, uint16_t *bits);
const char *algorithm_nearest(struct piece);
bool algorithm_is_aead(uint16_t encr);
const struct algorithm *algorithm_at(size_t n); /* for tests; NULL behind the last */

/* ---- secrets (secrets.c, secrets_file.c) ---- */
struct secret {
    struct identity *id;
    size_t ids;
    bool any; /* %any or no ids at all */
    uint8_t *psk; /* wiped before it is freed */
    size_t length;
    struct place place;
};
struct secrets {
    struct secret *list;
    size_t count;
    char *file[64]; /* names, for places */
    size_t files;
};
/* Parses one text; `path` for places (kept by *secrets). Includes go through `include` (may be NULL). */
void secrets_text(struct secrets *, const char *path, const char *text, int depth, struct diagnostics *,
    void (*include)(struct secrets *, struct place, const char *pattern, int depth, struct diagnostics *));

#endif
