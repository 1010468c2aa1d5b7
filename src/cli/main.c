/* main.c: `iketcp`, the command a person types. */
#include "internal.h"

int main(int argc, char **argv) {
    struct options options;
    enum exit_code code = options_read(argc, argv, &options);
    if (code != EXIT_OK || options.done)
        return (int)code;
    return (int)command_run(&options);
}
