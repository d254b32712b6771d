/* schema.c: the tables, as migrations. A migration that has shipped is never edited: add one.
 * Dialect: SQLite STRICT; INTEGER is 64 bits, times end in their unit. Names `user_` and `grant_`
 * because the bare words are reserved elsewhere. Documents are TEXT exactly as signed or sent. */
#include "engine/store/store_int.h"

static const char schema_identity[] =
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE user_ (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
	" active INTEGER NOT NULL CHECK (active IN (0, 1)), created_s INTEGER NOT NULL) STRICT;"
	"CREATE TABLE user_key (jkt TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES user_ (id),"
	" jwk TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('active', 'retired')),"
	" created_s INTEGER NOT NULL) STRICT;"
	"CREATE INDEX user_key_user ON user_key (user_id);"
	"CREATE TABLE role (name TEXT PRIMARY KEY, permissions TEXT NOT NULL,"
	" rev INTEGER NOT NULL) STRICT;"
	"CREATE TABLE user_role (user_id TEXT NOT NULL REFERENCES user_ (id),"
	" role TEXT NOT NULL REFERENCES role (name), PRIMARY KEY (user_id, role)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE agent (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
	" kind TEXT NOT NULL CHECK (kind IN ('delegated', 'autonomous')),"
	" owner TEXT NOT NULL REFERENCES user_ (id), scopes TEXT NOT NULL, roles TEXT NOT NULL,"
	" state TEXT NOT NULL CHECK (state IN ('active', 'quarantined', 'retired')),"
	" max_depth INTEGER NOT NULL CHECK (max_depth >= 0), rev INTEGER NOT NULL,"
	" created_s INTEGER NOT NULL) STRICT;"
	"CREATE TABLE agent_key (jkt TEXT PRIMARY KEY, agent TEXT NOT NULL REFERENCES agent (id),"
	" jwk TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('active', 'retired')),"
	" created_s INTEGER NOT NULL) STRICT;"
	"CREATE INDEX agent_key_agent ON agent_key (agent);";

static const char schema_authority[] =
	"CREATE TABLE grant_ (id TEXT PRIMARY KEY, root TEXT NOT NULL REFERENCES grant_ (id),"
	" parent TEXT REFERENCES grant_ (id), depth INTEGER NOT NULL CHECK (depth >= 0),"
	" agent TEXT NOT NULL REFERENCES agent (id), user_id TEXT NOT NULL REFERENCES user_ (id),"
	" doc TEXT NOT NULL, sig BLOB NOT NULL, key TEXT NOT NULL,"
	" admin_made INTEGER NOT NULL CHECK (admin_made IN (0, 1)),"
	" iat_s INTEGER NOT NULL, exp_s INTEGER NOT NULL,"
	" uses_max INTEGER CHECK (uses_max >= 0), uses_left INTEGER CHECK (uses_left >= 0),"
	" revoked_s INTEGER, reason TEXT,"
	" CHECK ((parent IS NULL) = (depth = 0)), CHECK ((parent IS NULL) = (root = id))) STRICT;"
	"CREATE INDEX grant_parent ON grant_ (parent) WHERE parent IS NOT NULL;"
	"CREATE INDEX grant_user ON grant_ (user_id, id);"
	"CREATE INDEX grant_agent ON grant_ (agent, id);"
	"CREATE INDEX grant_revoked ON grant_ (revoked_s) WHERE revoked_s IS NOT NULL;"
	/* in the order of spending; its index is in memory (used.c) */
	"CREATE TABLE used (seq INTEGER PRIMARY KEY, space TEXT NOT NULL, id TEXT NOT NULL,"
	" until_s INTEGER NOT NULL) STRICT;"
	/* a grant here may be one that never existed: the denial of a forged id is recorded too */
	"CREATE TABLE attempt (rid TEXT PRIMARY KEY, req BLOB NOT NULL, gateway TEXT NOT NULL,"
	" route TEXT NOT NULL, grant_id TEXT, deadline_ms INTEGER NOT NULL, code TEXT,"
	" outcome TEXT) STRICT, WITHOUT ROWID;"
	"CREATE INDEX attempt_open ON attempt (deadline_ms) WHERE outcome IS NULL;";

static const char schema_log[] =
	"CREATE TABLE source (src INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
	" n INTEGER NOT NULL) STRICT;"
	/* seq never reuses a number: table order is commit order for ever */
	"CREATE TABLE entry (seq INTEGER PRIMARY KEY AUTOINCREMENT, rid TEXT NOT NULL UNIQUE,"
	" src INTEGER NOT NULL REFERENCES source (src), n INTEGER NOT NULL, kind TEXT NOT NULL, of TEXT,"
	" leaf BLOB NOT NULL, leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32),"
	" at_us INTEGER NOT NULL, UNIQUE (src, n)) STRICT;"
	"CREATE INDEX entry_of ON entry (of) WHERE of IS NOT NULL;"
	/* rows are never updated or deleted, not even by a mistake of ours */
	"CREATE TRIGGER entry_frozen BEFORE UPDATE ON entry"
	" BEGIN SELECT RAISE(ABORT, 'entry rows are final'); END;"
	"CREATE TRIGGER entry_kept BEFORE DELETE ON entry"
	" BEGIN SELECT RAISE(ABORT, 'entry rows are final'); END;"
	"CREATE TABLE entry_index (idx INTEGER PRIMARY KEY CHECK (idx >= 0),"
	" seq INTEGER NOT NULL UNIQUE REFERENCES entry (seq)) STRICT;"
	"CREATE TABLE tree_head (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL,"
	" frontier BLOB NOT NULL, root BLOB NOT NULL CHECK (length(root) = 32)) STRICT;"
	"CREATE TABLE log_lock (one INTEGER PRIMARY KEY CHECK (one = 1), fence INTEGER NOT NULL,"
	" size INTEGER NOT NULL, root BLOB NOT NULL CHECK (length(root) = 32),"
	" checkpoint TEXT NOT NULL) STRICT;"
	"CREATE TABLE opening (rid TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE change (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"
	" id TEXT NOT NULL, body TEXT NOT NULL,"
	" snapshot INTEGER NOT NULL CHECK (snapshot IN (0, 1))) STRICT;"
	"CREATE INDEX change_snapshot ON change (seq) WHERE snapshot = 1;"
	"CREATE TABLE refusal (door TEXT NOT NULL, code TEXT NOT NULL, count INTEGER NOT NULL,"
	" since_s INTEGER NOT NULL, PRIMARY KEY (door, code)) STRICT, WITHOUT ROWID;";

static const char schema_config[] =
	/* a removed route keeps its row, so that its revision never repeats */
	"CREATE TABLE route (name TEXT PRIMARY KEY, rev INTEGER NOT NULL, doc TEXT NOT NULL,"
	" removed INTEGER NOT NULL DEFAULT 0 CHECK (removed IN (0, 1))) STRICT;"
	"CREATE TABLE secret (name TEXT PRIMARY KEY, sealed BLOB NOT NULL, rev INTEGER NOT NULL,"
	" updated_s INTEGER NOT NULL) STRICT;"
	"CREATE TABLE policy (ver INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL,"
	" text TEXT NOT NULL, active INTEGER NOT NULL CHECK (active IN (0, 1)),"
	" created_s INTEGER NOT NULL) STRICT;"
	"CREATE UNIQUE INDEX policy_active ON policy (active) WHERE active = 1;"
	"CREATE INDEX policy_digest ON policy (digest);"
	"CREATE TABLE key (kid TEXT PRIMARY KEY, use TEXT NOT NULL, alg TEXT NOT NULL,"
	" jwk TEXT NOT NULL, sealed BLOB NOT NULL,"
	" state TEXT NOT NULL CHECK (state IN ('active', 'retired', 'removed')),"
	" next_n INTEGER NOT NULL, created_s INTEGER NOT NULL) STRICT;"
	"CREATE INDEX key_use ON key (use, created_s);";

static const char schema_attested[] =
	"CREATE TABLE agent_entry (agent TEXT NOT NULL REFERENCES agent (id), id TEXT NOT NULL,"
	" doc TEXT NOT NULL, created_s INTEGER NOT NULL, PRIMARY KEY (agent, id)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE svid_key (kid TEXT PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('x509', 'jwt')),"
	" alg TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN"
	" ('prepared', 'active', 'old', 'tainted', 'revoked')), spki BLOB NOT NULL, cert BLOB NOT NULL,"
	" created_s INTEGER NOT NULL, not_after_s INTEGER NOT NULL, next_n INTEGER NOT NULL) STRICT;"
	"CREATE UNIQUE INDEX svid_key_active ON svid_key (kind) WHERE state = 'active';"
	"CREATE TABLE bundle (td TEXT PRIMARY KEY, own INTEGER NOT NULL CHECK (own IN (0, 1)),"
	" doc TEXT NOT NULL, digest TEXT NOT NULL, sequence INTEGER NOT NULL,"
	" updated_s INTEGER NOT NULL) STRICT;"
	"CREATE TABLE node (id TEXT PRIMARY KEY, method TEXT NOT NULL, selectors TEXT NOT NULL,"
	" state TEXT NOT NULL CHECK (state IN ('active', 'banned')), seen_s INTEGER NOT NULL,"
	" created_s INTEGER NOT NULL) STRICT;"
	"CREATE TABLE join_token (hash BLOB PRIMARY KEY CHECK (length(hash) = 32),"
	" exp_s INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE run (id TEXT PRIMARY KEY, agent TEXT NOT NULL REFERENCES agent (id),"
	" entry TEXT NOT NULL, node TEXT NOT NULL REFERENCES node (id), spiffe_id TEXT NOT NULL UNIQUE,"
	" grant_id TEXT, runner TEXT NOT NULL, code TEXT NOT NULL, started_s INTEGER NOT NULL,"
	" exp_s INTEGER NOT NULL, ended_s INTEGER) STRICT;"
	"CREATE INDEX run_agent ON run (agent, started_s);"
	"CREATE INDEX run_living ON run (node) WHERE ended_s IS NULL;";

static const char *const migration_1[] = {
	schema_identity, schema_authority, schema_log, schema_config, schema_attested, NULL
};

const char *const *const store_migrations[] = { migration_1 };
const int store_migrations_n = ARRAY_LEN(store_migrations);
