// OAuth libraries nobody here wrote against the authority. argv: WHAT, {"issuer","agent","grant","key","url"}; prints what it saw.
import { readFileSync } from 'node:fs';
import { calculateJwkThumbprint, createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';

const [what, given] = [process.argv[2], JSON.parse(process.argv[3])];
const { issuer, agent, grant, url } = given;
const { d, ...jwk } = JSON.parse(readFileSync(given.key, 'utf8'));
const imported = async (k, use) => crypto.subtle.importKey('jwk', k, { name: 'Ed25519' }, true, use);
const privateKey = await imported({ ...jwk, d }, ['sign']);
const publicKey = await imported(jwk, ['verify']);
const kid = await calculateJwkThumbprint(jwk);
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const forGrant = { subject_token: grant, subject_token_type: 'urn:attorn:params:oauth:token-type:grant', resource: url };
const details = [{ type: 'mcp_tool_call', server: url, tool: 'echo', args_digest: given.args_digest }];
const forCall = (token) => ({ subject_token: token, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token', resource: url,
	authorization_details: JSON.stringify(details) });
const error = async (promise) => promise.then(() => 'none', (e) => e.error ?? e.code ?? String(e));

const plays = {
	async 'openid-client'() {
		const config = await openid.discovery(new URL(issuer), agent, undefined, openid.PrivateKeyJwt({ key: privateKey, kid }),
			{ algorithm: 'oauth2', execute: [openid.allowInsecureRequests] });
		const DPoP = openid.getDPoPHandle(config, { privateKey, publicKey });
		const delegated = await openid.genericGrantRequest(config, EXCHANGE, forGrant, { DPoP });
		const capability = await openid.genericGrantRequest(config, EXCHANGE, forCall(delegated.access_token), { DPoP });
		const before = await openid.tokenIntrospection(config, delegated.access_token);
		await openid.tokenRevocation(config, delegated.access_token);
		return { delegated, capability, before, after: await openid.tokenIntrospection(config, delegated.access_token),
			foreign: await openid.tokenIntrospection(config, 'no-token-of-ours'),
			capabilityAfter: await error(openid.genericGrantRequest(config, EXCHANGE, forCall(delegated.access_token), { DPoP })),
			metadata: config.serverMetadata() };
	},
	async oauth4webapi() {
		const insecure = { [oauth.allowInsecureRequests]: true };
		const at = new URL(issuer);
		const answer = await oauth.discoveryRequest(at, { algorithm: 'oauth2', ...insecure });
		const as = await oauth.processDiscoveryResponse(at, answer.clone());
		const other = await error(oauth.processDiscoveryResponse(new URL('http://127.0.0.2:1'), answer));
		const client = { client_id: agent };
		const auth = oauth.PrivateKeyJwt({ key: privateKey, kid });
		const DPoP = oauth.DPoP(client, { privateKey, publicKey });
		const ask = async () => oauth.processGenericTokenEndpointResponse(as, client,
			await oauth.genericTokenEndpointRequest(as, client, auth, EXCHANGE, forGrant, { DPoP, ...insecure }));
		const first = await ask().catch((e) => e);
		const nonceAsked = oauth.isDPoPNonceError(first);
		const token = nonceAsked ? await ask() : first;
		const seen = await oauth.processIntrospectionResponse(as, client,
			await oauth.introspectionRequest(as, client, auth, token.access_token, insecure));
		await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, token.access_token, insecure));
		return { other, nonceAsked, token_type: token.token_type, seen };
	},
	async jose() {
		const keys = createRemoteJWKSet(new URL(`${issuer}/keys`));
		const seen = [];
		for (const token of given.tokens) {
			const { payload } = await jwtVerify(token, keys, { issuer, audience: url, typ: 'at+jwt', algorithms: ['EdDSA', 'Ed25519'] });
			seen.push({ header: decodeProtectedHeader(token), jkt: payload.cnf.jkt, aud: payload.aud, sub: payload.sub, act: payload.act.sub });
		}
		const flipped = given.tokens[0].replace(/.(?=[^.]{20}$)/, (c) => (c === 'A' ? 'B' : 'A'));
		return { seen, kid, flipped: await error(jwtVerify(flipped, keys)),
			audience: await error(jwtVerify(given.tokens[0], keys, { audience: `${url}x` })),
			typ: await error(jwtVerify(given.tokens[0], keys, { typ: 'jwt' })) };
	},
	// RFC 9728 as the MCP SDKs find it: by the challenge of a 401, in both lines, then the authorization server behind it (which the
	// SDKs' schema does not take: it has no authorization endpoint).
	async metadata() {
		const found = {};
		for (const [name, module] of [['v1', '@modelcontextprotocol/sdk/client/auth.js'], ['v2', '@modelcontextprotocol/client']]) {
			const sdk = await import(module);
			const refused = await fetch(url, { method: 'POST', body: '{}', headers: { 'Content-Type': 'application/json' } });
			const challenge = sdk.extractWWWAuthenticateParams(refused);
			const resource = await sdk.discoverOAuthProtectedResourceMetadata(url, { resourceMetadataUrl: challenge.resourceMetadataUrl });
			const unguided = await sdk.discoverOAuthProtectedResourceMetadata(url);
			const server = await sdk.discoverAuthorizationServerMetadata(resource.authorization_servers[0]).catch(String);
			found[name] = { status: refused.status, scope: challenge.scope, error: challenge.error ?? null, resource, unguided, server,
				url: challenge.resourceMetadataUrl.href };
		}
		return found;
	},
	// The DPoP of the newer SDK line itself: a session and a list need nothing of ours but the token.
	async 'sdk-dpop'() {
		const { Client, DpopSession, StreamableHTTPClientTransport, withDpop } = await import('@modelcontextprotocol/client');
		const session = await DpopSession.create({ keyPair: { privateKey, publicKey, publicJwk: jwk, thumbprint: kid, alg: 'EdDSA' } });
		const client = new Client({ name: 'attorn-test', version: '1' });
		await client.connect(new StreamableHTTPClientTransport(new URL(url), { fetch: withDpop(session, () => given.tokens[0])(fetch),
			authProvider: { token: async () => given.tokens[0] } }));
		const tools = (await client.listTools()).tools.map((tool) => tool.name).sort();
		const call = await error(client.callTool({ name: 'echo', arguments: { message: 'x' } }));
		await client.close();
		return { tools, call };
	},
};
console.log(JSON.stringify(await plays[what]()));
