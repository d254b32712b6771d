// What a user of the TypeScript MCP SDK writes to call attorn's gateway without the shim: a fetch that signs each request.
// Lists and sessions go under a delegated token; a tools/call goes under a capability for exactly its arguments, or, with
// per_call_proof, under the delegated token and a proof that names the action.
import { createHash, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, importJWK, SignJWT } from 'jose';

const b64 = (bytes) => Buffer.from(bytes).toString('base64url');
const digest = (label, text) => createHash('sha256').update(`${label}\0${text}`).digest();
export const canonical = (v) => // RFC 8785
	v === null || typeof v !== 'object' ? JSON.stringify(v)
		: Array.isArray(v) ? `[${v.map(canonical)}]`
			: `{${Object.keys(v).sort().map((k) => `${JSON.stringify(k)}:${canonical(v[k])}`)}}`;

export async function attornFetch({ issuer, agent, grant, key, url, per_call_proof }) {
	const { d, ...jwk } = key;
	const signer = await importJWK({ ...key, alg: 'EdDSA' });
	const kid = await calculateJwkThumbprint(jwk);
	const jwt = (header, claims) =>
		new SignJWT({ jti: randomUUID(), ...claims }).setProtectedHeader({ alg: 'EdDSA', ...header }).setIssuedAt().sign(signer);
	const proof = (htm, htu, more) => jwt({ typ: 'dpop+jwt', jwk }, { htm, htu, ...more });
	let nonce, delegated;

	async function exchange(form, mayRetry = true) {
		const identity = { iss: agent, sub: agent, aud: issuer, exp: Math.floor(Date.now() / 1000) + 60, nonce };
		const answer = await fetch(`${issuer}/oauth/token`, {
			method: 'POST', headers: { DPoP: await proof('POST', `${issuer}/oauth/token`, { nonce }) },
			body: new URLSearchParams({ ...form, resource: url, grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
				client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
				client_assertion: await jwt({ kid }, identity) }) });
		nonce = answer.headers.get('dpop-nonce') ?? nonce;
		const body = await answer.json();
		if (answer.ok) return body.access_token;
		if (body.error === 'use_dpop_nonce' && mayRetry) return exchange(form, false);
		throw new Error(`${answer.status} ${JSON.stringify(body)}`);
	}
	const capability = (token, item) => exchange({ subject_token: token, authorization_details: JSON.stringify([item]),
		subject_token_type: 'urn:ietf:params:oauth:token-type:access_token' });

	return async (target, init = {}) => {
		const message = typeof init.body === 'string' ? JSON.parse(init.body) : {};
		let token = await (delegated ??= exchange({ subject_token: grant,
			subject_token_type: 'urn:attorn:params:oauth:token-type:grant' })), more = {};
		if (message.method === 'tools/call') {
			const args = digest('attorn-args/1', canonical(message.params.arguments ?? {}));
			if (per_call_proof) {
				more.action_digest = b64(digest('attorn-action/1', canonical({ actor: agent, aud: url, op: 'tools/call',
					args_digest: `sha-256:${args.toString('hex')}`, target: message.params.name })));
			} else {
				token = await capability(token, { type: 'mcp_tool_call', server: url, tool: message.params.name, args_digest: b64(args) });
			}
		}
		const headers = new Headers(init.headers);
		headers.set('Authorization', `DPoP ${token}`);
		headers.set('DPoP', await proof(init.method ?? 'GET', url, { ath: b64(createHash('sha256').update(token).digest()), ...more }));
		return fetch(target, { ...init, headers });
	};
}
