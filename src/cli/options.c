/* options.c: the command line of `iketcp`. */
#include "internal.h"

#include <getopt.h>
#include <string.h>

static const char usage[] =
    "iketcp [--control SOCKET] COMMAND: tells a running iketcpd what to do\n"
    "\n"
    "  up NAME              brings a connection up, shows each step, returns when it is up or failed\n"
    "  down NAME            deletes its SAs and takes its routes back\n"
    "  status [NAME]        what there is, for people\n"
    "  status --json [NAME] the same for scripts\n"
    "  rekey NAME [--ike]   new keys for its Child SAs, or for its IKE SA\n"
    "  redirect NAME GATEWAY  asks its peers to go to another gateway (an address or a name)\n"
    "  reload               reads the configuration again; unchanged connections keep their SAs\n"
    "  stop                 deletes all SAs politely and ends iketcpd\n"
    "\n"
    "  --control SOCKET     where iketcpd listens (" CONTROL_DEFAULT ")\n"
    "  --help, --version\n"
    "\n"
    "It exits with 0 when it is done, 1 when it failed (the last line says why), 2 when this help would have\n"
    "helped, 3 when iketcpd can't be reached.\n";

enum name_use { NAME_NEVER, NAME_MAY, NAME_MUST };
static const struct {
    const char *command;
    enum name_use name;
    bool json, ike; /* options that it takes */
    bool gateway; /* a second word, which it must have */
} commands[] = {
    {"up", NAME_MUST, false, false, false},
    {"down", NAME_MUST, false, false, false},
    {"status", NAME_MAY, true, false, false},
    {"rekey", NAME_MUST, false, true, false},
    {"redirect", NAME_MUST, false, false, true},
    {"reload", NAME_NEVER, false, false, false},
    {"stop", NAME_NEVER, false, false, false},
};

static enum exit_code wrong(const char *what, const char *which) {
    fprintf(stderr, "iketcp: %s%s%s; 'iketcp --help' lists the commands\n", what, which == NULL ? "" : " ",
        which == NULL ? "" : which);
    return EXIT_USAGE;
}

static enum exit_code check(const struct options *options, int left, char **rest) {
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(options->command, commands[i].command) != 0)
            continue;
        if (commands[i].name == NAME_MUST && options->name == NULL)
            return wrong("the name of a connection is missing after", options->command);
        if (commands[i].gateway && options->gateway == NULL)
            return wrong("the gateway is missing after", options->name);
        size_t most = commands[i].name == NAME_NEVER ? 0 : commands[i].gateway ? 2 : 1;
        if ((size_t)left > most)
            return wrong("too many arguments:", rest[most]);
        if (options->json && !commands[i].json)
            return wrong("--json is for status, not for", options->command);
        if (options->ike && !commands[i].ike)
            return wrong("--ike is for rekey, not for", options->command);
        return EXIT_OK;
    }
    return wrong("there is no command", options->command);
}

enum exit_code options_read(int argc, char **argv, struct options *out) {
    static const struct option known[] = {
        {"control", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {"ike", no_argument, NULL, 'i'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    *out = (struct options){.control = CONTROL_DEFAULT};
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        switch (option) {
        case 'c':
            out->control = optarg;
            break;
        case 'j':
            out->json = true;
            break;
        case 'i':
            out->ike = true;
            break;
        case 'h':
            fputs(usage, stdout);
            out->done = true;
            return EXIT_OK;
        case 'V':
            puts("iketcp " IKETCP_VERSION);
            out->done = true;
            return EXIT_OK;
        default:
            return wrong("unknown or incomplete option", argv[optind - 1]);
        }
    }
    if (optind == argc) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    out->command = argv[optind++];
    if (optind < argc)
        out->name = argv[optind];
    if (optind + 1 < argc)
        out->gateway = argv[optind + 1];
    return check(out, argc - optind, argv + optind);
}
