// A real OpenID provider for tests: oidc-provider over plain HTTP on this machine, with a sign-in form of its own.
//
// node openid_provider.mjs '{"host", "clients": [{"client_id", "client_secret", "redirect_uris"}]}' prints its issuer,
// then serves on that address until its standard input ends. Whoever signs in types who they are: "subject e-mail
// [unverified]".
import { createServer } from "node:http";
import { generateKeyPair, exportJWK } from "jose";
import { Provider } from "oidc-provider";

const { clients, host } = JSON.parse(process.argv[2]);
const { privateKey } = await generateKeyPair("RS256", { extractable: true });

function person(typed) {
  const [subject, email, verified] = typed.split(" ");
  return { sub: subject, email, email_verified: verified !== "unverified" };
}
const people = new Map();

const server = createServer();
await new Promise((listening) => server.listen(0, host, listening));
const issuer = `http://${host}:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: clients.map((client) => ({ ...client, grant_types: ["authorization_code"], response_types: ["code"] })),
  jwks: { keys: [{ ...(await exportJWK(privateKey)), use: "sig", alg: "RS256", kid: "first" }] },
  cookies: { keys: ["for tests alone"] },
  claims: { openid: ["sub", "acr", "amr"], email: ["email", "email_verified"] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, sub) => ({ accountId: sub, claims: () => people.get(sub) }),
  // Everybody has agreed to this one client before.
  loadExistingGrant: async ({ oidc }) => {
    const grant = new oidc.provider.Grant({ accountId: oidc.session.accountId, clientId: oidc.client.clientId });
    grant.addOIDCScope("openid email");
    await grant.save();
    return grant;
  },
});
const answer = provider.callback();

server.on("request", async (request, response) => {
  if (!request.url.startsWith("/interaction/")) {
    await answer(request, response);
    return;
  }
  if (request.method === "GET") {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(
      `<!DOCTYPE html><html lang="en"><title>Sign in at the provider</title><form method="post">
       <label>Who are you <input name="who"></label><label>Second factor <input type="checkbox" name="factor"></label>
       <button>Sign in</button> <button name="cancel" value="yes">Cancel</button></form></html>`,
    );
    return;
  }
  let body = "";
  for await (const part of request) body += part;
  const typed = new URLSearchParams(body);
  if (typed.get("cancel")) {
    await provider.interactionFinished(request, response, { error: "access_denied" });
    return;
  }
  const claims = person(typed.get("who"));
  people.set(claims.sub, claims);
  const amr = typed.get("factor") ? ["pwd", "otp"] : ["pwd"];
  await provider.interactionFinished(request, response, { login: { accountId: claims.sub, amr, remember: false } });
});

process.stdin.on("end", () => process.exit(0)).resume();
console.log(issuer);
