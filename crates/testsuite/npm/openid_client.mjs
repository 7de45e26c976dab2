// Signs a person in with openid-client, unmodified: discovery, code with PKCE, userinfo, refresh, and a
// sign-out that comes back.
//
// Reads one JSON object from standard input:
//     modules      the folder that holds node_modules
//     issuer       https://login.cloud.example/<tenant>/v2.0
//     client_id    a public client of the tenant
//     redirect_uri one of its redirect URIs; nobody needs to listen there
//     scope        what to ask for
//     user, password  what the person types
//     attempts     instead of that: a list of [user, password], each typed by a browser of its own
//     held         instead of signing in: tokens of an earlier answer, to see whether they still work
//
// and writes one to standard output. It exits with 0 when the question was answered. The person's
// browser is Node's own fetch with a cookie jar: the page needs no script.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const question = JSON.parse(readFileSync(0, "utf8"));
const module_path = join(question.modules, "node_modules/openid-client/build/index.js");
const client = await import(pathToFileURL(module_path));

/** What openid-client says of a refusal. */
async function refusal(attempt) {
  try {
    await attempt();
    return null;
  } catch (error) {
    const body = error.cause ?? {};
    return {
      code: error.code ?? error.cause?.code ?? null,
      error: error.error ?? body.error ?? null,
      description: error.error_description ?? body.error_description ?? error.message,
      status: error.status ?? null,
    };
  }
}

class Browser {
  #cookies = new Map();

  async visit(url, options = {}) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { accept: "text/html", cookie, ...options.headers };
    const answer = await fetch(url, { redirect: "manual", ...options, headers });
    for (const line of answer.headers.getSetCookie()) {
      const [name, value] = line.split(";")[0].split(/=(.*)/s);
      if (value) this.#cookies.set(name, value);
      else this.#cookies.delete(name);
    }
    return answer;
  }

  async sign_in(url, user, password) {
    const page = await (await this.visit(url)).text();
    const plain = (text) =>
      text.replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(code)).replaceAll("&amp;", "&");
    const form = new URLSearchParams();
    for (const [, name, value] of page.matchAll(/type="hidden" name="([^"]*)" value="([^"]*)"/g)) {
      form.set(name, plain(value));
    }
    form.set("loginfmt", user);
    form.set("passwd", password);
    const action = plain(page.match(/<form method="post" action="([^"]*)"/)[1]);
    return this.visit(new URL(action, url), { method: "POST", body: form });
  }
}

async function sign_in(config) {
  const browser = new Browser();
  const verifier = client.randomPKCECodeVerifier();
  const expected = { state: client.randomState(), nonce: client.randomNonce() };
  const request = async (more = {}) =>
    client.buildAuthorizationUrl(config, {
      redirect_uri: question.redirect_uri,
      scope: question.scope,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      ...expected,
      ...more,
    });
  const checks = {
    pkceCodeVerifier: verifier,
    expectedState: expected.state,
    expectedNonce: expected.nonce,
    idTokenExpected: true,
  };
  const answer = await browser.sign_in(await request(), question.user, question.password);
  const back = new URL(answer.headers.get("location"));
  const tokens = await client.authorizationCodeGrant(config, back, checks);
  const claims = tokens.claims();
  const again = await refusal(() => client.authorizationCodeGrant(config, back, checks));

  // The code that came twice has ended what it gave: sign in anew, without a page.
  const silent = new URL((await browser.visit(await request({ prompt: "none" }))).headers.get("location"));
  const second = await client.authorizationCodeGrant(config, silent, checks);
  const userinfo = await client.fetchUserInfo(config, second.access_token, claims.sub);
  const refreshed = await client.refreshTokenGrant(config, second.refresh_token);
  const narrowed = await client.refreshTokenGrant(config, refreshed.refresh_token, { scope: "openid" });
  const reused = await refusal(() => client.refreshTokenGrant(config, refreshed.refresh_token));
  const family = await refusal(() => client.refreshTokenGrant(config, narrowed.refresh_token));

  const left = client.buildEndSessionUrl(config, {
    id_token_hint: second.id_token,
    post_logout_redirect_uri: question.redirect_uri,
    state: "left",
  });
  const signed_out = (await browser.visit(left)).headers.get("location");
  const after = new URL((await browser.visit(await request({ prompt: "none" }))).headers.get("location"));

  // For who comes after: a session that is still held.
  const kept = await browser.sign_in(await request(), question.user, question.password);
  const held = await client.authorizationCodeGrant(config, new URL(kept.headers.get("location")), checks);
  return {
    claims,
    again,
    userinfo,
    refreshed: refreshed.claims()?.sub ?? null,
    narrowed: narrowed.scope,
    reused,
    family,
    signed_out,
    after: after.searchParams.get("error"),
    held: { access_token: held.access_token, refresh_token: held.refresh_token, sub: claims.sub },
  };
}

/** Whether tokens that somebody holds still work. */
async function probe(config, held) {
  return {
    userinfo: await refusal(() => client.fetchUserInfo(config, held.access_token, held.sub)),
    refresh: await refusal(() => client.refreshTokenGrant(config, held.refresh_token)),
  };
}

/** What the tenant tells each person: its error's number, or nothing when it lets them in. */
async function attempt(config, pairs) {
  const challenge = await client.calculatePKCECodeChallenge(client.randomPKCECodeVerifier());
  const { redirect_uri, scope } = question;
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri,
    scope,
    code_challenge: challenge,
    code_challenge_method: "S256",
  });
  const told = {};
  for (const [user, password] of pairs) {
    const answer = await new Browser().sign_in(url, user, password);
    told[user] = answer.headers.has("location") ? null : (await answer.text()).match(/AADSTS\d+/)[0];
  }
  return told;
}

const config = await client.discovery(new URL(question.issuer), question.client_id, undefined, client.None());
let answer;
if (question.held) answer = await probe(config, question.held);
else if (question.attempts) answer = await attempt(config, question.attempts);
else answer = await sign_in(config);
process.stdout.write(JSON.stringify(answer));
