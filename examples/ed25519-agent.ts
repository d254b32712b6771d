// An agent with a plain Ed25519 key pair and no SDK: it answers the authority's signed challenge, trades a
// grant for a token and the token for one capability, and opens one ticket through the gateway.
//   tsx ed25519-agent.ts SEED-FILE                                     makes the key, prints the JWK to register
//   tsx ed25519-agent.ts SEED-FILE ISSUER CLIENT-ID GRANT ROUTE-URL    does the call
import { createHash, randomUUID } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import nacl from "tweetnacl";

const [seedFile, issuer, clientId, grant, route] = process.argv.slice(2);
const b64 = (bytes: Uint8Array | string) => Buffer.from(bytes).toString("base64url");
const sha256 = (text: string) => b64(createHash("sha256").update(text).digest());
if (!existsSync(seedFile)) writeFileSync(seedFile, b64(nacl.randomBytes(32)), { mode: 0o600 });
const key = nacl.sign.keyPair.fromSeed(Buffer.from(readFileSync(seedFile, "utf8").trim(), "base64url"));
const jwk = { crv: "Ed25519", kty: "OKP", x: b64(key.publicKey) };
if (!issuer) { console.log(JSON.stringify(jwk)); process.exit(); }

function jwt(header: object, claims: object): string {
	const signed = `${b64(JSON.stringify({ alg: "EdDSA", ...header }))}.${b64(JSON.stringify(claims))}`;
	return `${signed}.${b64(nacl.sign.detached(Buffer.from(signed), key.secretKey))}`;
}
const now = () => Math.floor(Date.now() / 1000);
const proof = (htm: string, htu: string, more: object) =>
	jwt({ typ: "dpop+jwt", jwk }, { htm, htu, iat: now(), jti: randomUUID(), ...more }); // RFC 9449 4.2

let nonce: string | undefined; // the authority's challenge: both signatures below answer it
async function exchange(form: Record<string, string>, mayRetry = true): Promise<string> {
	const identity = { iss: clientId, sub: clientId, aud: issuer, iat: now(), exp: now() + 60, jti: randomUUID(), nonce };
	const response = await fetch(`${issuer}/oauth/token`, {
		method: "POST",
		headers: { DPoP: proof("POST", `${issuer}/oauth/token`, { nonce }) },
		body: new URLSearchParams({ ...form, resource: route, grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
			client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
			client_assertion: jwt({ kid: sha256(JSON.stringify(jwk)) }, identity) }), // RFC 7523, RFC 7638
	});
	nonce = response.headers.get("DPoP-Nonce") ?? nonce;
	const answer = await response.json();
	if (response.ok) return answer.access_token;
	if (answer.error === "use_dpop_nonce" && mayRetry) return exchange(form, false);
	throw new Error(`${response.status} ${JSON.stringify(answer)}`);
}

const delegated = await exchange({ subject_token: grant, subject_token_type: "urn:attorn:params:oauth:token-type:grant" });
const body = JSON.stringify({ title: "Key pair says hello", body: "Opened without an SDK.", priority: "low" });
const action = { type: "http_request", server: route, method: "POST", target: "/tickets", body_digest: sha256(`attorn-args/1\0${body}`) };
const capability = await exchange({ subject_token: delegated, authorization_details: JSON.stringify([action]),
	subject_token_type: "urn:ietf:params:oauth:token-type:access_token" });
const response = await fetch(`${route}/tickets`, { method: "POST", body, headers: { "Content-Type": "application/json",
	Authorization: `DPoP ${capability}`, DPoP: proof("POST", `${route}/tickets`, { ath: sha256(capability) }) } });
console.log(response.status, (await response.text()).trim());
process.exitCode = response.ok ? 0 : 1;
