// The kit of the end-to-end tests: a server of its own, a browser of its own, and what a person does.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { after, before } from 'node:test';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { unspoken } from './words.mjs';
import { AutoScalingClient, CreateAutoScalingGroupCommand, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
import { EC2Client, CreateLaunchTemplateCommand } from '@aws-sdk/client-ec2';
import { IAMClient, CreateRoleCommand, CreateServiceLinkedRoleCommand, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import { KMSClient, CreateAliasCommand, CreateKeyCommand, GetKeyPolicyCommand } from '@aws-sdk/client-kms';

export const region = 'us-west-2';
export const account = '123456789012';
export const linkedRole = `arn:aws:iam::${account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`;
const image = 'ami-12c6146b';
const run = promisify(execFile);

// program is the server that KAGIMORI_BIN names.
function program() {
  const bin = process.env.KAGIMORI_BIN;
  if (!bin) throw new Error('KAGIMORI_BIN names no server: make console-e2e');
  return bin;
}

// serve starts a server.
export async function serve(...flags) {
  const child = spawn(program(), ['serve', '--dev', '--listen', '127.0.0.1:0', '--log-level', 'warn', ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  const url = await new Promise((found, failed) => {
    let text = '';
    child.stdout.on('data', (d) => {
      text += d;
      const m = /listens on (\S+)/.exec(text);
      if (m) found(m[1]);
    });
    child.on('exit', (code) => failed(new Error(`the server ended with ${code}`)));
  });
  const advance = async (by) => {
    const res = await fetch(`${url}/_kagimori/clock`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ advance: by }) });
    if (!res.ok) throw new Error(`the clock did not move: ${await res.text()}`);
  };
  return { url, pid: child.pid, advance, stop: () => new Promise((done) => (child.on('exit', done), child.kill('SIGINT'))) };
}

// free is a port that nobody listens on.
const free = () =>
  new Promise((found) => {
    const l = createServer().listen(0, '127.0.0.1', () => {
      const { port } = l.address();
      l.close(() => found(port));
    });
  });

// keeper starts a server that is the external key store of itself, as xks.example.com, for the keys of
// another account; credential makes what its proxy is asked with.
export async function keeper() {
  const folder = await mkdtemp(join(tmpdir(), 'kagimori-xks-'));
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const certificate = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=xks', '-addext', 'subjectAltName=DNS:xks.example.com', '-keyout', key, '-out', cert];
  await run('openssl', certificate);
  const proxy = `127.0.0.1:${await free()}`;
  const server = await serve('--xks-listen', proxy, '--xks-tls-cert', cert, '--xks-tls-key', key, '--outbound-ca', cert, '--outbound-connect', `xks.example.com=${proxy}`, '--xks-timeout', '30s');
  const own = '999988887777';
  const { kms, iam } = world(server.url, own);
  const trust = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { Service: 'cks.kms.amazonaws.com' }, Action: 'sts:AssumeRole' }] };
  const { Role } = await iam.send(new CreateRoleCommand({ RoleName: 'aws', AssumeRolePolicyDocument: JSON.stringify(trust) }));
  const use = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: ['kms:Encrypt', 'kms:Decrypt', 'kms:DescribeKey'], Resource: '*' }] };
  await iam.send(new PutRolePolicyCommand({ RoleName: 'aws', PolicyName: 'use', PolicyDocument: JSON.stringify(use) }));
  return {
    ...server,
    stop: async () => (await server.stop(), await rm(folder, { recursive: true, force: true })),
    // credential is a new key behind the proxy, with the file of a credential for it under a path.
    credential: async (prefix) => {
      const { KeyMetadata: held } = await kms.send(new CreateKeyCommand({}));
      const file = join(folder, `${prefix.slice(1)}.json`);
      await run(program(), ['xks', 'credential', 'create', '--role', Role.Arn, '--key', held.Arn, '--path-prefix', prefix, '--out', file], {
        env: { ...process.env, AWS_ENDPOINT_URL: server.url, AWS_REGION: region, AWS_ACCESS_KEY_ID: `${own}ADMIN`, AWS_SECRET_ACCESS_KEY: 'test' },
      });
      return { file, key: held.KeyId };
    },
  };
}

// browse starts Chromium on an empty profile.
export async function browse() {
  const profile = await mkdtemp(join(tmpdir(), 'kagimori-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, viewport: { width: 1440, height: 1000 }, locale: 'en-US',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  return { context, stop: async () => (await context.close(), await rm(profile, { recursive: true, force: true, maxRetries: 3 })) };
}

// page is a new tab that fails the test for what a console must not do: errors, refused content, and
// requests of other origins.
export async function open(context, url) {
  const page = await context.newPage();
  const wrong = [];
  page.on('pageerror', (e) => wrong.push(`error: ${e.stack ?? e}`));
  page.on('console', (m) => {
    if (/Content Security Policy|TrustedHTML|Trusted Type/i.test(m.text())) wrong.push(`refused: ${m.text()}`);
  });
  page.on('request', (r) => {
    if (!r.url().startsWith(url) && !r.url().startsWith('data:')) wrong.push(`request: ${r.url()}`);
  });
  page.setDefaultTimeout(20_000);
  return { page, wrong };
}

// signIn signs in as a person does.
export async function signIn(page, url, { id = `${account}ADMIN`, secret = 'test', language = 'en', place = '' } = {}) {
  await page.addInitScript((l) => localStorage.setItem('kagimori.language', l), language);
  await page.goto(`${url}/console/#/${place}`);
  await page.locator('input[name=access-key]').fill(id);
  await page.locator('input[name=secret]').fill(secret);
  await page.locator('input[name=region]').fill(region);
  await page.locator('button[type=submit]').click();
  await page.locator('nav:visible, h1:visible').first().waitFor();
  await page.locator('input[name=access-key]').waitFor({ state: 'detached' });
}

const axeSource = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

// violations are what axe finds on the page as it is, by all rules or some.
export async function violations(page, rules) {
  const source = await (await import('node:fs/promises')).readFile(axeSource, 'utf8');
  await page.evaluate(source); // by the debugger, which the page's policy does not bind
  const found = await page.evaluate((only) => window.axe.run(document, { resultTypes: ['violations'], ...(only && { runOnly: only }) }), rules);
  // Cloudscape's toolbar of narrow windows says aria-orientation of a <nav>, which axe does not allow.
  const theirs = (n) => /^<nav [^>]*mobile-toolbar-nav/.test(n.html);
  const ours = found.violations.map((v) => ({ ...v, nodes: v.nodes.filter((n) => v.id !== 'aria-allowed-attr' || !theirs(n)) })).filter((v) => v.nodes.length);
  return ours.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html.slice(0, 200)).slice(0, 3).join(' | ')}`);
}

// tab makes a test of what is done in a signed-in tab. It fails if the console did what it must not.
export const tab = (running, language, use, who = {}) => async () => {
  const [browser, server] = running();
  const { page, wrong } = await open(browser.context, server.url);
  try {
    await signIn(page, server.url, { language, ...who });
    await use(page);
    assert.deepEqual(wrong, []);
  } catch (e) {
    if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, 'failed.png') });
    throw e;
  } finally {
    await page.close();
  }
};

// setting is what the tests of a file share, from before the first to after the last: a server, a browser, and
// the world of an account, in which prepare does what all of them need.
export function setting({ start = serve, prepare = ({ w }) => w.role() } = {}) {
  const at = {
    // visit makes a test of what is done in a signed-in tab, with the words of its language.
    visit: (words) => (language, use, who) => tab(() => [at.browser, at.server], language, (page) => use(page, words?.[language]), who),
  };
  before(async () => {
    at.server = await start();
    at.browser = await browse();
    at.w = world(at.server.url);
    await prepare(at);
  });
  after(async () => {
    await at.browser?.stop();
    await at.server?.stop();
  });
  return at;
}

// go opens a place of the console.
export const go = (page, place) => page.evaluate((p) => { location.hash = `#/${p}`; }, place);

// choose takes an option of a select. A click on a list that is just being placed can be lost, on a machine with
// much else to do: who sees that clicks again.
export async function choose(page, id, name) {
  await page.getByTestId(id).getByRole('button').first().click();
  const option = page.getByRole('option', { name, exact: true });
  await option.waitFor();
  await until(`${name} is chosen`, async () => {
    if ((await option.count()) > 0) await option.click({ timeout: 2000 }).catch(() => undefined);
    return (await option.count()) === 0;
  });
}

// accessible fails for what axe finds, and takes a picture: as the page is and, of English pages, in dark
// colours, of Japanese ones in a narrow window. A page in Japanese that says something in English fails too.
export async function accessible(page, name, language) {
  const picture = (as) => process.env.SHOTS && page.screenshot({ path: join(process.env.SHOTS, `${name}-${language}${as}.png`) });
  await page.waitForTimeout(400); // what opens has opened
  await picture('');
  assert.deepEqual(await violations(page), [], `axe on ${name}`);
  if (language === 'ja') assert.deepEqual(await unspoken(page), [], `English on ${name}`);
  const was = page.viewportSize();
  if (language === 'ja' && was.width > 640) await page.setViewportSize({ width: 640, height: was.height });
  const dark = language === 'en' && (await page.evaluate(() => !document.body.classList.contains('awsui-dark-mode') && Boolean(document.body.classList.add('awsui-dark-mode') ?? true)));
  if (!dark && language !== 'ja') return;
  await page.waitForTimeout(300);
  await picture(dark ? '-dark' : '-narrow');
  // Other colours break no other rule.
  assert.deepEqual(await violations(page, dark ? ['color-contrast'] : undefined), [], `axe on ${name}, ${dark ? 'dark' : 'narrow'}`);
  if (dark) await page.evaluate(() => document.body.classList.remove('awsui-dark-mode'));
  else if (was.width > 640) {
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth + 1), `${name} is wider than a narrow window`);
    await page.setViewportSize(was);
  }
  await page.waitForTimeout(200);
}

// world speaks to the server as the tools of AWS do.
export function world(url, owner = account) {
  const config = { region, endpoint: url, credentials: { accessKeyId: `${owner}ADMIN`, secretAccessKey: 'test' } };
  const [kms, iam, ec2, groups] = [new KMSClient(config), new IAMClient(config), new EC2Client(config), new AutoScalingClient(config)];
  return {
    kms,
    iam,
    abroad: (other) => new KMSClient({ ...config, region: other }),
    role: () => iam.send(new CreateServiceLinkedRoleCommand({ AWSServiceName: 'autoscaling.amazonaws.com' })),
    key: async (alias, more = {}) => {
      const { KeyMetadata: key } = await kms.send(new CreateKeyCommand({ Description: alias, ...more }));
      await kms.send(new CreateAliasCommand({ AliasName: `alias/${alias}`, TargetKeyId: key.KeyId }));
      return key;
    },
    policy: async (key) => (await kms.send(new GetKeyPolicyCommand({ KeyId: key.Arn }))).Policy,
    group: async (name, key) => {
      const Ebs = { Encrypted: true, KmsKeyId: key.Arn, VolumeSize: 1 };
      await ec2.send(new CreateLaunchTemplateCommand({
        LaunchTemplateName: name, LaunchTemplateData: { ImageId: image, InstanceType: 't3.micro', BlockDeviceMappings: [{ DeviceName: '/dev/sdf', Ebs }] },
      }));
      await groups.send(new CreateAutoScalingGroupCommand({
        AutoScalingGroupName: name, MinSize: 1, MaxSize: 2, AvailabilityZones: [`${region}a`], LaunchTemplate: { LaunchTemplateName: name, Version: '$Latest' },
      }));
    },
    inService: async (name) => {
      const out = await groups.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }));
      return (out.AutoScalingGroups[0].Instances ?? []).filter((i) => i.LifecycleState === 'InService').length;
    },
  };
}

// until asks again and again, for at most a minute.
export async function until(what, ask) {
  const end = Date.now() + 60_000;
  while (!(await ask())) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((r) => setTimeout(r, 300));
  }
}
