/* tls_sessions.c: TLS sessions that may be resumed when a stream is opened again (T5). With TLS 1.3 they come while the
 * stream is a worker's and are taken on the control thread, so a lock is around the few of them. */
#include "transport/tls_internal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS_MAX 64

struct entry {
    char key[TLS_KEY_MAX];
    SSL_SESSION *session; /* NULL: free */
    uint64_t put; /* the smallest is the oldest */
};

struct tls_sessions {
    pthread_mutex_t lock;
    uint64_t puts;
    struct entry entry[SESSIONS_MAX];
};

struct tls_sessions *tls_sessions_new(void) {
    struct tls_sessions *sessions = calloc(1, sizeof *sessions);
    if (sessions != NULL && pthread_mutex_init(&sessions->lock, NULL) != 0) {
        free(sessions);
        return NULL;
    }
    return sessions;
}

void tls_sessions_free(struct tls_sessions *sessions) {
    if (sessions == NULL)
        return;
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        SSL_SESSION_free(sessions->entry[i].session);
    pthread_mutex_destroy(&sessions->lock);
    free(sessions);
}

static struct entry *find(struct tls_sessions *sessions, const char *key) {
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        if (sessions->entry[i].session != NULL && strcmp(sessions->entry[i].key, key) == 0)
            return &sessions->entry[i];
    return NULL;
}

static struct entry *oldest(struct tls_sessions *sessions) {
    struct entry *old = &sessions->entry[0];
    for (size_t i = 1; i < SESSIONS_MAX; i++)
        if (sessions->entry[i].put < old->put) /* one that is free was never put, or is as good as that */
            old = &sessions->entry[i];
    return old;
}

void tls_sessions_put(struct tls_sessions *sessions, const char *key, SSL_SESSION *session) {
    pthread_mutex_lock(&sessions->lock);
    struct entry *entry = find(sessions, key);
    if (entry == NULL)
        entry = oldest(sessions);
    SSL_SESSION_free(entry->session);
    snprintf(entry->key, sizeof entry->key, "%s", key);
    entry->session = session;
    entry->put = ++sessions->puts;
    pthread_mutex_unlock(&sessions->lock);
}

SSL_SESSION *tls_sessions_get(struct tls_sessions *sessions, const char *key) {
    SSL_SESSION *session = NULL;
    pthread_mutex_lock(&sessions->lock);
    struct entry *entry = find(sessions, key);
    if (entry != NULL) {
        session = entry->session;
        if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
            *entry = (struct entry){.session = NULL};
        else
            SSL_SESSION_up_ref(session);
    }
    pthread_mutex_unlock(&sessions->lock);
    return session;
}
