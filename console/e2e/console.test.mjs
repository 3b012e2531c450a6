// The console as a person uses it, in both languages, against a real server. SHOTS names a folder for
// pictures of the screens.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { join } from 'node:path';
import { readFile } from 'node:fs/promises';
import { CreateGrantCommand, ListGrantsCommand, ListResourceTagsCommand, PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import { CreateAccessKeyCommand, CreateRoleCommand, CreateUserCommand, PutRolePolicyCommand, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { accessible, account, go, linkedRole, open, region, setting, signIn, tab, until, world } from './kit.mjs';

const words = {
  en: {
    refresh: 'Refresh', allEvents: 'All events', byName: 'Event name', otherAccount: 'Another AWS account', keys: 'Customer managed keys', why: 'Why did it fail?', denied: 'Access denied', gains: /can now .*kms:CreateGrant/, other: /Statement 2 of this policy/, signOut: 'Sign out', fails: 'will not launch', textView: 'Policy view',
    secondRun: 'The group tries again by itself', check: 'Check', audit: 'Audit', groups: 'Auto Scaling groups', grants: 'Grants', revoked: 'The grant was revoked.', volume: /Why was this denied/, who: 'Who can use it', rotation: 'Key rotation', succeeded: 'Succeeded',
  },
  ja: {
    refresh: '更新', allEvents: 'すべてのイベント', byName: 'イベント名', otherAccount: '別の AWS アカウント', keys: 'カスタマーマネージドキー', why: '失敗の理由を表示', denied: 'アクセスが拒否されました', gains: /kms:CreateGrant.*を実行できるようになります/, other: /ステートメント 2 は/, signOut: 'サインアウト', fails: '起動できません', textView: 'ポリシービュー',
    secondRun: 'グループは自動的に再試行します', check: '診断', audit: '監査ログ', groups: 'Auto Scaling グループ', grants: 'グラント', revoked: 'グラントを取り消しました。', volume: /拒否された理由/, who: '使用できるプリンシパル', rotation: 'キーローテーション', succeeded: '成功',
  },
};

const at = setting();
const visit = at.visit(words);

// save saves a policy that is under review, once what changes is told.
async function save(page, told) {
  await page.getByTestId('changes').getByText(told).first().waitFor();
  await page.getByTestId('save-policy').click();
  await page.getByTestId('save-policy').waitFor({ state: 'detached' });
}

for (const language of ['en', 'ja']) {
  describe(language, () => {
    test('the default view: the service-linked role becomes key user, and the group launches', visit(language, async (page, t) => {
      const key = await at.w.key(`view-${language}`);
      await at.w.group(`view-${language}`, key);
      await page.getByRole('heading', { name: t.keys }).waitFor();
      await page.getByRole('button', { name: t.refresh }).first().click(); // the list may be older than the key
      await page.getByRole('link', { name: key.KeyId }).waitFor();
      await accessible(page, 'keys', language);
      await page.getByRole('link', { name: key.KeyId }).click();
      await page.getByTestId('add-users').click();
      await page.getByTestId('people').getByRole('button').first().click();
      await page.keyboard.type('AWSServiceRoleForAuto');
      await page.getByRole('option', { name: /AWSServiceRoleForAutoScaling/ }).first().click();
      await page.keyboard.press('Escape');
      await page.getByTestId('pick').click();
      await page.getByTestId('changes').waitFor();
      await accessible(page, 'review', language);
      const earlier = await at.w.policy(key);
      await save(page, t.gains);
      await page.getByTestId('list-users').getByText(linkedRole).waitFor();
      await accessible(page, 'default-view', language);
      const policy = JSON.parse(await at.w.policy(key));
      assert.deepEqual(policy.Statement[0], JSON.parse(earlier).Statement[0]);
      const [use, attach] = policy.Statement.slice(1);
      assert.deepEqual([use.Sid, attach.Sid], ['Allow use of the key', 'Allow attachment of persistent resources']);
      assert.deepEqual(use.Action, ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey']);
      assert.deepEqual(attach.Action, ['kms:CreateGrant', 'kms:ListGrants', 'kms:RevokeGrant']);
      assert.deepEqual(attach.Condition, { Bool: { 'kms:GrantIsForAWSResource': 'true' } });
      await until('the group launches', async () => (await at.w.inService(`view-${language}`)) === 1);
      // and out again: the policy is that from before, byte for byte
      await page.getByTestId('list-users').getByRole('checkbox').last().click();
      await page.getByTestId('remove-users').click();
      await page.getByTestId('save-policy').waitFor();
      await page.locator('[data-testid=save-policy]:not([disabled])').click();
      await page.getByTestId('save-policy').waitFor({ state: 'detached' });
      assert.equal(await at.w.policy(key), earlier);
    }));

    test('a failed launch is explained, and repaired by the button', visit(language, async (page, t) => {
      const key = await at.w.key(`repair-${language}`);
      await at.w.group(`repair-${language}`, key);
      await go(page, 'groups');
      await page.getByRole('link', { name: `repair-${language}` }).waitFor();
      await accessible(page, 'groups', language);
      await page.getByRole('link', { name: `repair-${language}` }).click();
      await page.getByRole('link', { name: t.why }).first().waitFor();
      await accessible(page, 'group', language);
      await page.getByRole('link', { name: t.why }).first().click();
      await page.getByTestId('apply-least').first().waitFor();
      assert.match(await page.locator('[data-testid=why]:visible').first().innerText(), language === 'ja' ? /に対する kms:\w+ を要求しました/ : /asked for kms:\w+ on/);
      await accessible(page, 'explanation', language);
      // what others changed in the meantime is not undone
      const earlier = await at.w.policy(key);
      await at.w.kms.send(new PutKeyPolicyCommand({ KeyId: key.Arn, Policy: earlier.replace('key-default-1', 'changed') }));
      await page.getByTestId('apply-least').first().click();
      await page.getByTestId('problem').waitFor();
      await at.w.kms.send(new PutKeyPolicyCommand({ KeyId: key.Arn, Policy: earlier }));
      await page.getByTestId('apply-least').first().click();
      await save(page, t.gains);
      await page.getByText(t.secondRun).waitFor();
      await until('the group launches', async () => (await at.w.inService(`repair-${language}`)) === 1);
      assert.equal(JSON.parse(await at.w.policy(key)).Statement.length, 3);
    }));

    test('the two statements for Auto Scaling, and the policy as text with marks', visit(language, async (page, t) => {
      const key = await at.w.key(`text-${language}`);
      const earlier = await at.w.policy(key);
      await go(page, `keys/${key.KeyId}`);
      await page.getByTestId('for-auto-scaling').click();
      await page.locator('[data-testid=review-launch]:not([disabled])').waitFor();
      await accessible(page, 'for-auto-scaling', language);
      await page.getByTestId('review-launch').click();
      await save(page, t.gains);
      const sids = JSON.parse(await at.w.policy(key)).Statement.map((s) => s.Sid);
      assert.deepEqual(sids.slice(1), ['Allow service-linked role use of the customer managed key', 'Allow attachment of persistent resources']);
      await page.getByRole('radio', { name: t.textView }).or(page.getByText(t.textView, { exact: true })).first().click();
      const text = page.locator('textarea');
      await text.fill((await text.inputValue()).replace('kms:DescribeKey', 'kms:DescribKey'));
      await page.getByTestId('findings').getByText('kms:DescribKey').waitFor();
      await accessible(page, 'policy-view', language);
      await text.fill('{');
      await page.getByTestId('findings').locator('li').first().waitFor();
      await page.locator('[data-testid=review][disabled]').waitFor();
      await text.fill(earlier);
      await page.locator('[data-testid=review]:not([disabled])').click();
      await page.locator('[data-testid=save-policy]:not([disabled])').click();
      await page.getByTestId('save-policy').waitFor({ state: 'detached' });
      assert.equal(await at.w.policy(key), earlier);
    }));

    test('grants: what is lost is told before one is revoked', visit(language, async (page, t) => {
      const key = await at.w.key(`grants-${language}`);
      await at.w.kms.send(new CreateGrantCommand({ KeyId: key.Arn, GranteePrincipal: linkedRole, Operations: ['Decrypt', 'CreateGrant'] }));
      await go(page, `keys/${key.KeyId}/grants`);
      await page.getByRole('radio').first().click();
      await accessible(page, 'grants', language);
      await page.getByTestId('revoke').click();
      await page.getByTestId('revoke-now').waitFor();
      await accessible(page, 'revoke', language);
      await page.getByTestId('revoke-now').click();
      await page.getByText(t.revoked).waitFor();
      assert.equal((await at.w.kms.send(new ListGrantsCommand({ KeyId: key.Arn }))).Grants.length, 0);
    }));

    test('the grant of a volume: who stops with it', visit(language, async (page, t) => {
      const name = `volume-${language}`;
      const key = await at.w.key(name);
      const statement = { Effect: 'Allow', Principal: { AWS: linkedRole }, Action: ['kms:GenerateDataKey*', 'kms:CreateGrant'], Resource: '*' };
      const policy = JSON.parse(await at.w.policy(key));
      await at.w.kms.send(new PutKeyPolicyCommand({ KeyId: key.Arn, Policy: JSON.stringify({ ...policy, Statement: [...policy.Statement, statement] }) }));
      await at.w.group(name, key);
      await until('the group launches', async () => (await at.w.inService(name)) === 1);
      await go(page, `keys/${key.KeyId}/grants`);
      await page.getByRole('radio').first().click();
      await page.getByTestId('revoke').click();
      await page.getByTestId('impact').getByText(/vol-[0-9a-f]+.*i-[0-9a-f]+|i-[0-9a-f]+.*vol-[0-9a-f]+/).first().waitFor();
      await accessible(page, 'impact', language);
      await page.getByTestId('revoke-now').click();
      await page.getByText(t.revoked).waitFor();
    }));

    test('a group of another account: its statements, the grant there, and it launches', async () => {
      const [K, A] = ['444455556666', language === 'en' ? '111122223333' : '111122224444'];
      const [owner, other] = [world(at.server.url, K), world(at.server.url, A)];
      const role = `arn:aws:iam::${A}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`;
      await other.role();
      const key = await owner.key(`shared-${language}`);
      await visit(language, async (page, t) => {
        await go(page, `keys/${key.KeyId}`);
        await page.getByTestId('for-auto-scaling').click();
        await page.getByRole('radio', { name: t.otherAccount }).click();
        await page.getByRole('dialog').locator('input[inputmode=numeric]').fill(A);
        await page.getByText('aws kms create-grant').waitFor();
        assert.ok((await page.getByText('aws kms create-grant').innerText()).includes(role));
        await accessible(page, 'other-account', language);
        await page.locator('[data-testid=review-launch]:not([disabled])').click();
        await save(page, t.gains);
      }, { id: `${K}ADMIN` })();
      const sids = JSON.parse(await owner.policy(key)).Statement.map((s) => s.Sid);
      assert.deepEqual(sids.slice(1), [`Allow external account ${A} use of the customer managed key`, `Allow attachment of persistent resources in external account ${A}`]);
      const Operations = ['Encrypt', 'Decrypt', 'ReEncryptFrom', 'ReEncryptTo', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'DescribeKey', 'CreateGrant'];
      await other.kms.send(new CreateGrantCommand({ KeyId: key.Arn, GranteePrincipal: role, Operations }));
      await other.group('far', key);
      await until('the group launches', async () => (await other.inService('far')) === 1);
    });

    test('the other tabs, the check and the audit', visit(language, async (page, t) => {
      const key = await at.w.key(`tabs-${language}`);
      for (const tab of ['who', 'rotation', 'aliases', 'tags']) {
        await go(page, `keys/${key.KeyId}/${tab}`);
        await page.getByRole('tabpanel').getByRole('table').or(page.getByRole('tabpanel').locator('table')).first().waitFor();
        await accessible(page, tab, language);
      }
      await page.getByRole('tabpanel').locator('input').first().fill('team');
      await page.getByRole('tabpanel').locator('input').nth(1).fill('red');
      await page.getByTestId('add-tag').click();
      await page.getByRole('button', { name: /: team$/ }).waitFor();
      await accessible(page, 'tagged', language);
      const tags = async () => (await at.w.kms.send(new ListResourceTagsCommand({ KeyId: key.KeyId }))).Tags.map((x) => `${x.TagKey}=${x.TagValue}`);
      assert.deepEqual(await tags(), ['team=red']);
      await page.getByRole('button', { name: /: team$/ }).click();
      await page.getByRole('button', { name: /: team$/ }).waitFor({ state: 'detached' });
      assert.deepEqual(await tags(), []);
      await go(page, 'check');
      await page.locator('textarea').fill(await readFile(new URL('../../internal/desk/testdata/fails.json', import.meta.url), 'utf8'));
      await page.getByRole('button', { name: t.check, exact: true }).or(page.locator('main button').filter({ hasText: language === 'ja' ? '診断する' : /^Check$/ })).first().click();
      await page.getByTestId('verdict').getByText(t.fails).waitFor();
      await accessible(page, 'check', language);
      await go(page, 'audit');
      await page.getByRole('heading', { name: t.audit }).waitFor();
      await page.getByRole('button', { name: t.allEvents }).click();
      await page.getByRole('option', { name: t.byName, exact: true }).click();
      await page.locator('main input[type=text]').fill('CreateKey');
      await page.keyboard.press('Enter');
      await until('only such events are listed', async () => {
        const names = await page.locator('tbody tr button').allInnerTexts();
        return names.length > 0 && names.every((n) => n === 'CreateKey');
      });
      await accessible(page, 'audit', language);
      await page.getByRole('button', { name: 'CreateKey' }).first().click();
      await page.getByText('"eventName": "CreateKey"').waitFor();
      await accessible(page, 'event', language);
    }));

    test('a key is made with its policy', visit(language, async (page) => {
      await go(page, 'create-key');
      const next = page.locator('button[class*=primary-button]');
      await page.getByRole('radio').first().waitFor();
      await accessible(page, 'create-key', language);
      await next.click();
      await page.locator('input[name=alias]').fill(`made-${language}`);
      await page.locator('main textarea').fill('team=red');
      await next.click();
      await page.locator('input[name=accounts]').fill('not an account');
      await next.click(); // does not go on
      await page.locator('input[name=accounts]').fill('444455556666');
      await page.locator('input[name=users-arns]').fill(linkedRole);
      await accessible(page, 'create-key-people', language);
      await next.click();
      await page.locator('pre').getByText('Allow use of the key').waitFor();
      await accessible(page, 'create-key-review', language);
      await next.click();
      await page.getByRole('heading', { name: `made-${language}` }).waitFor();
    }));

    test('who may not is told so, in AWS\'s words, with the way to the reason', async () => {
      const name = `reader-${language}`;
      const key = await at.w.key(`denied-${language}`);
      await at.w.iam.send(new CreateUserCommand({ UserName: name }));
      await at.w.iam.send(new PutUserPolicyCommand({ UserName: name, PolicyName: 'read', PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: ['kms:List*', 'kms:DescribeKey', 'kagimori:Get*'], Resource: '*' }] }) }));
      const { AccessKey: access } = await at.w.iam.send(new CreateAccessKeyCommand({ UserName: name }));
      await visit(language, async (page, t) => {
        await go(page, `keys/${key.KeyId}`);
        const problem = page.getByTestId('problem').first();
        await problem.getByText(t.denied).waitFor();
        assert.match(await problem.innerText(), /is not authorized to perform: kms:GetKeyPolicy/);
        await accessible(page, 'denied', language);
        await problem.getByRole('link', { name: t.volume }).click();
        await page.getByTestId('why').first().waitFor();
        await accessible(page, 'why-denied', language);
      }, { id: access.AccessKeyId, secret: access.SecretAccessKey })();
    });
  });
}

test('a role is assumed, and the console has its permissions only', async () => {
  const { page, wrong } = await open(at.browser.context, at.server.url);
  await at.w.iam.send(new CreateRoleCommand({ RoleName: 'lister', AssumeRolePolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'sts:AssumeRole' }] }) }));
  await at.w.iam.send(new PutRolePolicyCommand({ RoleName: 'lister', PolicyName: 'list', PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: ['kms:ListKeys', 'kms:ListAliases', 'kms:DescribeKey'], Resource: '*' }] }) }));
  await at.w.key('assumed');
  await page.addInitScript(() => localStorage.setItem('kagimori.language', 'en'));
  await page.goto(`${at.server.url}/console/`);
  await page.locator('input[name=access-key]').fill(`${account}ADMIN`);
  await page.locator('input[name=secret]').fill('test');
  await page.locator('input[name=region]').fill(region);
  await page.getByText('Role to assume, Session token').click();
  await page.locator('input[name=role]').fill(`arn:aws:iam::${account}:role/lister`);
  await accessible(page, 'sign-in', 'en');
  await page.locator('button[type=submit]').click();
  await page.getByRole('button', { name: `arn:aws:sts::${account}:assumed-role/lister/console` }).waitFor();
  await page.getByRole('link', { name: /^[0-9a-f-]{36}$/ }).first().waitFor();
  await go(page, 'groups');
  await page.getByTestId('problem').getByText('autoscaling:DescribeAutoScalingGroups').waitFor();
  assert.deepEqual(wrong, []);
  await page.close();
});

test('wrong credentials are refused in the server\'s words, and nothing of them is kept', async () => {
  const { page } = await open(at.browser.context, at.server.url);
  await page.addInitScript(() => localStorage.setItem('kagimori.language', 'en'));
  await page.goto(`${at.server.url}/console/`);
  await page.locator('input[name=access-key]').fill(`${account}ADMIN`);
  await page.locator('input[name=secret]').fill('not-the-secret');
  await page.locator('button[type=submit]').click();
  await page.getByTestId('problem').getByText('SignatureDoesNotMatch').waitFor();
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.doesNotMatch(kept, /ADMIN|not-the-secret/);
  await page.close();
});

test('the language and the appearance are remembered; dark and narrow are accessible too', async () => {
  await at.w.key('dark');
  const { page, wrong } = await open(at.browser.context, at.server.url);
  await page.goto(`${at.server.url}/console/`);
  await page.evaluate(() => localStorage.clear());
  await page.reload();
  await page.getByRole('button', { name: /English/ }).click();
  await page.getByRole('menuitem', { name: '日本語' }).click();
  await page.getByRole('heading', { name: 'サインイン' }).waitFor();
  await page.getByRole('button', { name: '外観' }).click();
  await page.getByRole('menuitem', { name: 'ダーク' }).click();
  await page.reload();
  await page.getByRole('heading', { name: 'サインイン' }).waitFor();
  assert.ok(await page.locator('.awsui-dark-mode').count());
  await accessible(page, 'dark-sign-in', 'ja');
  await page.setViewportSize({ width: 400, height: 800 });
  await page.locator('input[name=access-key]').fill(`${account}ADMIN`);
  await page.locator('input[name=secret]').fill('test');
  await page.locator('input[name=region]').fill(region);
  await page.locator('button[type=submit]').click();
  await page.getByRole('link', { name: /^[0-9a-f-]{36}$/ }).first().waitFor();
  await accessible(page, 'dark-narrow', 'ja');
  if (process.env.SHOTS) {
    await page.setViewportSize({ width: 1440, height: 1000 });
    await page.waitForTimeout(500);
    await page.screenshot({ path: join(process.env.SHOTS, 'keys-ja-dark.png') });
  }
  assert.deepEqual(wrong, []);
  await page.evaluate(() => localStorage.clear());
  await page.close();
});

test('many keys come in pages, and are found by alias', visit('en', async (page) => {
  for (let i = 0; i < 45; i++) await at.w.key(`many-${String(i).padStart(2, '0')}`);
  const rows = page.getByRole('link', { name: /^[0-9a-f-]{36}$/ });
  await page.reload();
  await signIn(page, at.server.url);
  await rows.nth(19).waitFor();
  const first = await rows.allInnerTexts();
  assert.equal(first.length, 20);
  await page.getByRole('button', { name: 'Next page' }).click();
  await page.locator('[aria-current=true]', { hasText: /^2$/ }).waitFor();
  await until('the second page is there', async () => (await rows.count()) === 20 && !first.includes(await rows.first().innerText()));
  await page.getByRole('searchbox').fill('many-3');
  await page.keyboard.press('Enter');
  await page.getByText('10 keys match').waitFor();
  assert.equal(await rows.count(), 10);
}));

test('the first screen of a new tab is the form to sign in', async () => {
  const { page, wrong } = await open(at.browser.context, at.server.url);
  await page.goto('about:blank');
  const start = Date.now();
  await page.goto(`${at.server.url}/console/`);
  await page.locator('input[name=access-key]').waitFor();
  console.log(`the first screen took ${Date.now() - start} ms`);
  assert.deepEqual(wrong, []);
  await page.close();
});
