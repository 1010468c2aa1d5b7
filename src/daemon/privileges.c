/* privileges.c: what the engine gives up before it reads a single octet from the network: root, groups, capabilities
 * (the bounding set too), any way to get them back, and its life beyond the monitor's. */
#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

#include "daemon/monitor.h"

static const char *const default_users[] = {"iketcp", "nobody"};

static bool find_user(const char *user, uid_t *uid, gid_t *gid, struct error *err) {
    const struct passwd *found = NULL;
    if (user != NULL)
        found = getpwnam(user);
    for (size_t i = 0; user == NULL && found == NULL && i < sizeof default_users / sizeof default_users[0]; i++)
        found = getpwnam(default_users[i]);
    if (found == NULL)
        return fail(err, HOST, 0, "there is no user '%s' for the engine to run as", user != NULL ? user : "nobody");
    if (found->pw_uid == 0 || found->pw_gid == 0)
        return fail(err, CONFIG, 0, "the engine must not run as '%s', who is root", found->pw_name);
    *uid = found->pw_uid;
    *gid = found->pw_gid;
    return true;
}

/* The kernel's word for it, not ours. */
static bool all_gone(uid_t uid, gid_t gid, struct error *err) {
    uid_t real, effective, saved;
    gid_t groups[3];
    if (getresuid(&real, &effective, &saved) != 0 || real != uid || effective != uid || saved != uid ||
        getresgid(&groups[0], &groups[1], &groups[2]) != 0 || groups[0] != gid || groups[1] != gid ||
        groups[2] != gid || getgroups(0, NULL) != 0)
        return fail(err, HOST, 0, "the engine's user did not change as asked");
    if (setuid(0) == 0 || seteuid(0) == 0)
        return fail(err, HOST, 0, "the engine could become root again");
    if (capng_get_caps_process() != 0 || capng_have_capabilities(CAPNG_SELECT_ALL) != CAPNG_NONE)
        return fail(err, HOST, 0, "the engine still has capabilities");
    return true;
}

bool privileges_drop(const char *user, struct error *err) {
    uid_t uid = 0;
    gid_t gid = 0;
    if (geteuid() != 0)
        return fail(err, HOST, 0, "only root can give root up");
    if (!find_user(user, &uid, &gid, err))
        return false;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail(err, HOST, 0, "no_new_privs: %s", strerror(errno));
    /* The bounding set first, since that takes CAP_SETPCAP; the user next; what is left of the rest last. */
    capng_clear(CAPNG_SELECT_ALL);
    if (capng_apply(CAPNG_SELECT_BOUNDS) != 0)
        return fail(err, HOST, 0, "the bounding set of capabilities can't be emptied: %s", strerror(errno));
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return fail(err, HOST, 0, "the engine can't change its user: %s", strerror(errno));
    capng_clear(CAPNG_SELECT_BOTH);
    if (capng_apply(CAPNG_SELECT_CAPS) != 0)
        return fail(err, HOST, 0, "capabilities can't be dropped: %s", strerror(errno));
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* unknown to old kernels, empty there */
    if (!all_gone(uid, gid, err))
        return false;
    /* After the change of user, which resets both. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return fail(err, HOST, 0, "prctl: %s", strerror(errno));
    return true;
}
