/* api_int.h: what the files of api share. A call is a flow: one row of the table in doors.c, one
 * transaction of the store, one answer. */
#ifndef ATTORN_API_INT_H
#define ATTORN_API_INT_H

#include "app/api/api.h"
#include "app/api/limits.h"
#include "domain/delegation/delegation.h"
#include "domain/policy/policy.h"
#include "domain/spiffe/spiffe.h"
#include "pure/codec/codec.h"
#include "pure/crypto/crypto.h"
#include "pure/jose/jose.h"

struct api {
	api_deps_t deps;
	uint64_t started_us;
	unsigned exports; /* running */
};

typedef struct api_call api_call_t;

enum {
	API_READ = 1, /* runs on a read connection, leaves no record */
	API_WIDENS = 2, /* needs a signature on every door */
	API_SELF_SIGNED = 4, /* the document inside carries the signature that counts */
	API_PUBLIC = 8, /* needs none on any door */
	API_ANYONE = 16, /* a read that any active user may make; what it shows depends on who asks */
	API_ESSENTIAL = 32, /* still written when the disk is full */
	API_ENROLS = 64, /* public keys in the body: checking one costs as much as a signature */
	API_TIMED = 128, /* the answer says in "ms" how long it took until the change was durable */
};

/* One row: what is asked, by which name it is signed, and who answers. */
typedef struct {
	str_t method, path; /* below /api/v1; {} stands for one segment */
	str_t verb;
	unsigned flags;
	size_t body_max; /* 0: no body */
	err_t (*parse)(api_call_t *c); /* members of the body; may set c->widens (when on the loop) */
	err_t (*prepare)(api_call_t *c); /* on lane cpu, after the signature was looked at once */
	err_t (*run)(api_call_t *c, store_txn_t *txn); /* in the one transaction */
	op_t *(*stream)(api_call_t *c); /* in place of run: an operation that also answers */
} api_door_t;
size_t api_doors(const api_door_t **out);

/* Who asks, as proven in the transaction. */
typedef struct {
	bool known; /* a signature was verified */
	str_t id; /* user, or agent of a child grant; "unix:uid:N" for nobody else than the socket's peer */
	str_t key; /* thumbprint */
	bool is_agent;
	store_agent_t agent; /* is_agent */
	store_user_t user; /* else */
	const str_t *roles;
	size_t n_roles;
	str_t permissions; /* blank-separated */
} api_who_t;

struct api_call {
	api_t *p;
	net_exchange_t *x;
	const api_door_t *door;
	arena_t *a;
	const feed_view_t *view; /* the rules asked; pinned again when they change (F7) */
	bool trusted; /* came over the admin socket */
	bool widens;
	str_t arg[API_PATH_ARGS_MAX]; /* of the path */
	form_t query;
	const json_t *body;
	void *in; /* what parse made of the body */
	int64_t now_us, now_s;
	uint64_t began_us; /* of the loop's clock */
	size_t gateways; /* that live now, for status */
	diag_t diag; /* about what the caller sent */

	struct {
		bool present;
		str_t document, signature;
		delegation_verb_t v;
	} verb;

	/* made by the transaction, anew each time it runs */
	api_who_t who;
	policy_decision_t decision;
	bool asked, allowed; /* the rules; and what they, or the socket, said */
	bool full; /* reads: may see what is not one's own */
	bool fenced, changed; /* rules changed meanwhile; a decision reads what changed */
	str_t rid; /* of the record */
	ledger_receipt_t receipt;
	bool appended;
	const str_t *ended; /* grants */
	size_t n_ended;
	buf_t record, out;
	jw_t r, w; /* writers into them */

	unsigned fences;
	bool committed, answered;
	int status; /* of the answer */
	str_t report; /* a policy's faults, one a line */
	err_t refused;
};

/* --- frame (api.c) ----------------------------------------------------------------------------- */
/* Says what in the caller's own input is wrong; returns `e`. */
err_t api_say(api_call_t *c, err_t e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* --- who and whether (who.c) -------------------------------------------------------------------- */
MUST err_t api_signature_read(api_call_t *c); /* headers, on the loop */
/* Verifies the verb's signature against the store; does not spend the nonce. Nothing to do without. */
MUST err_t api_signer_check(api_call_t *c, store_txn_t *txn);
MUST err_t api_nonce_spend(api_call_t *c, store_txn_t *txn);
/* Fills *who from a user's row; ERR_LOGIN when there is none or it is disabled. */
MUST err_t api_user_facts(api_call_t *c, store_txn_t *txn, str_t id, api_who_t *who);
/* ERR_FENCE when the rules in c->view are not those of the store. */
MUST err_t api_rules_current(api_call_t *c, store_txn_t *txn);
/* Asks the rules: may c->who do this? `on` may be NULL. Without a signature: the admin socket may narrow.
 * ERR_LOGIN, ERR_VERB, ERR_DENIED. */
MUST err_t api_may(api_call_t *c, store_txn_t *txn, policy_action_t action, str_t object,
	const store_agent_t *on);
/* The same question about rules not yet in force. */
MUST err_t api_would(api_call_t *c, const policy_bundle_t *rules, policy_action_t action, str_t object);
/* ERR_CONFLICT when the signer, after what was just written, could not do it again. */
MUST err_t api_still_may(api_call_t *c, store_txn_t *txn);
/* Administrators are active users with an active key and a role that holds attorn:administer. How many there
 * are before a change, and then: ERR_LAST_ADMINISTRATOR when it left none (nobody could undo it). */
MUST err_t api_administrators(store_txn_t *txn, size_t *out_before);
MUST err_t api_administrator_stays(store_txn_t *txn, size_t before);
/* Decides c->full for a read. */
MUST err_t api_read_may(api_call_t *c, store_txn_t *txn);

/* --- input (input.c) ------------------------------------------------------------------------------- */
MUST err_t api_body_parse(api_call_t *c);
#define API_ONLY(c, ...) JSON_ONLY((c)->body, &(c)->diag, __VA_ARGS__)
MUST err_t api_need_name(api_call_t *c, str_t key, str_t *out);
MUST err_t api_arg_name(api_call_t *c, size_t i); /* path segment i is a name */
/* A list of words as the JSON array that the store keeps; absent is empty. */
typedef struct {
	const str_t *v;
	size_t n;
	str_t json, list; /* ["a","b"], and blank-separated */
} api_words_t;
MUST err_t api_words(api_call_t *c, str_t key, size_t max, err_t (*check)(str_t word), api_words_t *out);
MUST err_t api_words_of(arena_t *a, str_t json, api_words_t *out); /* a stored list */
MUST err_t api_scope_check(str_t word);
typedef struct {
	str_t jkt, jwk;
} api_key_t;
MUST err_t api_keys(api_call_t *c, size_t min, const api_key_t **out, size_t *out_n);
MUST err_t api_keys_are_new(api_call_t *c, store_txn_t *txn, const api_key_t *keys, size_t n);
/* Entries, each as the text that the store keeps (entries.c). */
typedef struct {
	str_t id, doc;
} api_entry_t;
MUST err_t api_entries(api_call_t *c, const api_entry_t **out, size_t *out_n); /* absent is none */
MUST err_t api_entries_set(api_call_t *c, store_txn_t *txn, str_t agent, const api_entry_t *entries, size_t n);
void api_entries_digest(api_call_t *c, const api_entry_t *entries, size_t n); /* into the record */
MUST err_t api_entries_answer(api_call_t *c, store_txn_t *txn, str_t agent);
MUST err_t api_agent_told(api_call_t *c, store_txn_t *txn, str_t id); /* member "agent" of an answer */
MUST err_t api_query(api_call_t *c, const str_t *names, size_t n);
str_t api_query_get(const api_call_t *c, str_t name); /* STR_NULL when absent */
MUST err_t api_query_limit(api_call_t *c, size_t *out);
/* Lists: the parameters after and limit; whether rows remain behind those told, the last one told (only
 * if so), and the member "next": its key, or null. */
MUST err_t api_list_parse(api_call_t *c);
bool api_list_more(size_t n, size_t limit);
static inline size_t api_list_last(size_t n, size_t limit) { return (n < limit ? n : limit) - 1; }
void api_list_next(api_call_t *c, str_t key);
/* Makes a user row with keys; also the first one. ERR_EXISTS. */
MUST err_t api_user_insert(store_txn_t *txn, arena_t *a, str_t name, const api_key_t *keys, size_t n, int64_t now_s,
	str_t *out_id);
/* A user by name or id, an agent by name or id; ERR_NOT_FOUND. */
MUST err_t api_user_find(api_call_t *c, store_txn_t *txn, str_t name, store_user_t *out);
MUST err_t api_agent_find(api_call_t *c, store_txn_t *txn, str_t name, store_agent_t *out);

/* {"files":[{"name","text"}]}: what the store keeps and the feed tells. */
MUST err_t api_policy_text(arena_t *a, const policy_file_t *files, size_t n, str_t *out);

/* --- what a verb leaves behind (record.c) ------------------------------------------------------------ */
/* Starts the body of the record with who and which signed verb; add members to c->r. */
void api_record_begin(api_call_t *c, str_t by);
void api_record_words(api_call_t *c, const char *key, const str_t *v, size_t n);
void api_record_keys(api_call_t *c, const api_key_t *keys, size_t n);
MUST err_t api_record_end(api_call_t *c, store_txn_t *txn, ledger_type_t type);
/* A row for the feed; `snapshot`: a decision reads it. */
MUST err_t api_change(api_call_t *c, store_txn_t *txn, const char *kind, str_t id, bool snapshot);
/* Builds what the feed would tell after this transaction: nothing commits that gateways cannot read. */
MUST err_t api_snapshot_check(api_call_t *c, store_txn_t *txn);
MUST err_t api_refusal_closure(store_txn_t *txn, void *self);

/* --- handlers, one noun a file ---------------------------------------------------------------------------- */
#define API_VERB(name)                                                                             \
	err_t api_##name##_parse(api_call_t *c);                                                   \
	err_t api_##name##_run(api_call_t *c, store_txn_t *txn)
#define API_LIST(name) err_t api_##name##_run(api_call_t *c, store_txn_t *txn) /* parsed by api_list_parse */
API_VERB(agent_register);
API_VERB(agent_update);
API_VERB(agent_state);
API_VERB(agent_key_add);
API_VERB(agent_key_state);
API_VERB(agent_entries);
API_LIST(agent_list);
API_VERB(agent_get);
API_VERB(user_add);
API_VERB(user_key_add);
API_VERB(user_key_state);
API_VERB(user_roles);
API_VERB(user_state);
API_LIST(user_list);
API_VERB(user_get);
API_VERB(role_put);
API_LIST(role_list);
API_VERB(route_put);
API_VERB(route_remove);
API_LIST(route_list);
API_VERB(route_get);
API_VERB(secret_put);
API_VERB(secret_remove);
API_LIST(secret_list);
API_VERB(policy_push);
API_VERB(policy_check);
API_VERB(policy_get);
err_t api_policy_push_prepare(api_call_t *c);
err_t api_policy_check_prepare(api_call_t *c);
API_VERB(grant_create);
err_t api_grant_create_prepare(api_call_t *c);
API_VERB(grant_revoke);
API_VERB(grant_list);
API_VERB(grant_get);
API_VERB(explain);
API_VERB(status);
API_VERB(ledger_head);
API_VERB(ledger_verify);
err_t api_ledger_export_parse(api_call_t *c);
op_t *api_ledger_export_stream(api_call_t *c);
err_t api_openapi_run(api_call_t *c, store_txn_t *txn);

#endif
