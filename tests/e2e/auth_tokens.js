// Keys and tokens, made by npm's jose: node auth_tokens.js FOLDER
//
// Writes FOLDER/rsa.pem and FOLDER/keys.json, and prints tokens by name: those that open the door,
// and those that must not.
import { createSecretKey } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";

const [folder] = process.argv.slice(2);
const rsa = await generateKeyPair("RS256"), other = await generateKeyPair("RS256");
const ec = await generateKeyPair("ES256"), ed = await generateKeyPair("EdDSA");
const secret = createSecretKey(Buffer.alloc(32, 7));
const pem = await exportSPKI(rsa.publicKey);
writeFileSync(join(folder, "rsa.pem"), pem);
const keys = [{ ...await exportJWK(ec.publicKey), kid: "ec" },
              { ...await exportJWK(ed.publicKey), kid: "ed" },
              { ...await exportJWK(secret), kid: "shared" }];
writeFileSync(join(folder, "keys.json"), JSON.stringify({ keys }));
chmodSync(join(folder, "keys.json"), 0o600);

const claims = (change) => {
  const token = new SignJWT({ role: "reader" }).setSubject("joe").setIssuer("tests")
    .setAudience("e2e").setIssuedAt().setExpirationTime("10m");
  return change ? change(token) : token;
};
const sign = (alg, key, more = {}, change = undefined) =>
  claims(change).setProtectedHeader({ alg, ...more }).sign(key);

console.log(JSON.stringify({
  good: {
    rs256: await sign("RS256", rsa.privateKey),
    typed: await sign("RS256", rsa.privateKey, { typ: "JWT", kid: "unknown to us" }),
    es256: await sign("ES256", ec.privateKey, { kid: "ec" }),
    eddsa: await sign("EdDSA", ed.privateKey, { kid: "ed" }),
    hs256: await sign("HS256", secret, { kid: "shared" }),
    several: await sign("ES256", ec.privateKey, {}, (t) => t.setAudience(["x", "e2e"])),
  },
  bad: {
    confused: await sign("HS256", createSecretKey(Buffer.from(pem))),
    unsecured: new UnsecuredJWT({ sub: "joe", iss: "tests", aud: "e2e" })
      .setExpirationTime("10m").encode(),
    stranger: await sign("RS256", other.privateKey),
    expired: await sign("RS256", rsa.privateKey, {}, (t) => t.setExpirationTime("-2m")),
    early: await sign("RS256", rsa.privateKey, {}, (t) => t.setNotBefore("5m")),
    audience: await sign("RS256", rsa.privateKey, {}, (t) => t.setAudience("x")),
    issuer: await sign("RS256", rsa.privateKey, {}, (t) => t.setIssuer("x")),
    other_kid: await sign("ES256", ec.privateKey, { kid: "ed" }),
    rs384: await sign("RS384", (await generateKeyPair("RS384")).privateKey),
  },
}));
