/* main_iketcpd.c: the command line of iketcpd. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "daemon/daemon.h"

#define DEFAULT_CONFIG "/etc/iketcp/ipsec.conf"
#define DEFAULT_SECRETS "/etc/iketcp/ipsec.secrets"
#define DEFAULT_CONTROL "/run/iketcp/control"
#define OUTER_MARK UINT32_C(0x494b4554) /* "IKET" */
#define USAGE_ERROR 2

enum { OPTION_CHECK = 256, OPTION_VERSION, OPTION_USER };

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"secrets", required_argument, NULL, 's'},
    {"control", required_argument, NULL, 'C'},
    {"foreground", no_argument, NULL, 'f'},
    {"log-level", required_argument, NULL, 'l'},
    {"user", required_argument, NULL, OPTION_USER},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void help(void) {
    puts("iketcpd: an IKEv2 VPN daemon, client and gateway in one, that gets through over TCP where UDP is blocked\n"
         "\n"
         "usage: iketcpd [OPTION...]\n"
         "\n"
         "  -c, --config FILE      connections                (" DEFAULT_CONFIG ")\n"
         "  -s, --secrets FILE     pre-shared keys, mode 0600 (" DEFAULT_SECRETS ")\n"
         "  -C, --control SOCKET   where `iketcp` reaches it  (" DEFAULT_CONTROL ");\n"
         "                         pid, lock and clean-up state lie beside it: one daemon per socket\n"
         "  -f, --foreground       stay there, log to standard error; without it, return when ready\n"
         "  -l, --log-level L      error, warning, info (default) or debug\n"
         "      --user NAME        whom the unprivileged half runs as (iketcp, else nobody)\n"
         "      --check            read the files, print every error as FILE:LINE:COLUMN: ..., exit 1 on any\n"
         "      --version          print the version\n"
         "  -h, --help             this text\n"
         "\n"
         "SIGHUP reads the files again; SIGTERM and Ctrl-C delete the SAs and take back routes and addresses.\n"
         "Next: `iketcp up NAME`, `iketcp status`. Manuals: iketcpd(8), iketcp(8), iketcp.conf(5).");
}

struct command_line {
    struct monitor_options monitor;
    bool check, secrets_named, done; /* done: it was a question, and is answered */
};

static bool take_option(int option, const char *value, struct command_line *line) {
    enum log_level level;
    switch (option) {
    case 'c':
        line->monitor.config_path = value;
        return true;
    case 's':
        line->monitor.secrets_path = value;
        line->secrets_named = true;
        return true;
    case 'C':
        line->monitor.control_path = value;
        return true;
    case 'f':
        line->monitor.foreground = true;
        return true;
    case 'l':
        if (log_level_parse(value, &level)) {
            line->monitor.log_level = (int)level;
            return true;
        }
        fprintf(stderr, "iketcpd: --log-level is error, warning, info or debug, not '%s'\n", value);
        return false;
    case OPTION_USER:
        line->monitor.engine_user = value;
        return true;
    case OPTION_CHECK:
        line->check = true;
        return true;
    case OPTION_VERSION:
        puts("iketcpd " IKETCP_VERSION);
        line->done = true;
        return true;
    case 'h':
        help();
        line->done = true;
        return true;
    default:
        fputs("iketcpd: --help lists the options\n", stderr);
        return false;
    }
}

static bool read_command_line(int count, char **words, struct command_line *line) {
    int option;
    while (!line->done && (option = getopt_long(count, words, "c:s:C:fl:h", long_options, NULL)) != -1)
        if (!take_option(option, optarg, line))
            return false;
    if (!line->done && optind < count) {
        fprintf(stderr, "iketcpd: '%s' is no option; --help lists them\n", words[optind]);
        return false;
    }
    return true;
}

/* The daemon leaves the directory that it was started in. Never freed: they live as long as the process. */
static const char *absolute(const char *path) {
    char *directory = path[0] == '/' ? NULL : getcwd(NULL, 0), *joined = NULL;
    if (directory == NULL)
        return path;
    if (asprintf(&joined, "%s/%s", directory, path) < 0)
        joined = NULL;
    free(directory);
    return joined != NULL ? joined : path;
}

static bool print_diagnostics(struct diagnostics *d) {
    char text[1024];
    bool good = d->errors == 0;
    for (size_t i = 0; i < d->count; i++) {
        diagnostic_text(&d->list[i], text, sizeof text);
        fprintf(stderr, "%s\n", text);
    }
    diagnostics_free(d);
    *d = (struct diagnostics){0};
    return good;
}

/* The secrets are looked at when they are named, or can be read. */
static bool check_secrets(const struct command_line *line, const struct config *config) {
    const char *path = line->monitor.secrets_path;
    struct diagnostics d = {0};
    if (!line->secrets_named && access(path, R_OK) != 0)
        return true;
    struct secrets *secrets = secrets_read(path, &d);
    if (secrets != NULL && config != NULL)
        config_check_secrets(config, secrets, path, &d);
    bool good = print_diagnostics(&d) && secrets != NULL;
    secrets_free(secrets);
    return good;
}

/* What the kernel has loaded; a host that does not tell is not complained about. */
static void check_congestion(const struct config *config, const char *path, struct diagnostics *d) {
    char available[512];
    FILE *file = fopen("/proc/sys/net/ipv4/tcp_available_congestion_control", "re");
    if (file == NULL)
        return;
    if (fgets(available, sizeof available, file) != NULL)
        config_check_congestion(config, available, path, d);
    fclose(file);
}

static int check(const struct command_line *line) {
    struct diagnostics d = {0};
    struct config_source *source = config_source_read(line->monitor.config_path);
    struct config *config = source != NULL ? config_parse(source, &d) : NULL;
    if (config != NULL)
        check_congestion(config, line->monitor.config_path, &d);
    bool good = print_diagnostics(&d) && config != NULL;
    good = check_secrets(line, config) && good;
    if (good)
        printf("%s: %zu connection%s, no errors\n", line->monitor.config_path, config->connections,
            config->connections == 1 ? "" : "s");
    config_free(config);
    config_source_free(source);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int count, char **words) {
    struct command_line line = {
        .monitor = {.config_path = DEFAULT_CONFIG,
            .secrets_path = DEFAULT_SECRETS,
            .control_path = DEFAULT_CONTROL,
            .log_level = LOG_LEVEL_INFO,
            .mark = OUTER_MARK},
    };
    if (!read_command_line(count, words, &line))
        return USAGE_ERROR;
    if (line.done)
        return EXIT_SUCCESS;
    if (line.check)
        return check(&line);
    if (geteuid() != 0) {
        fputs("iketcpd: needs root, to open a TUN device and set routes; --check does not\n", stderr);
        return EXIT_FAILURE;
    }
    line.monitor.config_path = absolute(line.monitor.config_path);
    line.monitor.secrets_path = absolute(line.monitor.secrets_path);
    line.monitor.control_path = absolute(line.monitor.control_path);
    return monitor_run(&line.monitor);
}
