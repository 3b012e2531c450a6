// Who has access, and how it is changed: the access graph, what a change would stop, grants and aliases,
// in both languages.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CreateGrantCommand, DescribeKeyCommand, ListAliasesCommand, ListGrantsCommand, PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import { CreateRoleCommand, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import { accessible, account, choose, go, linkedRole, setting, until } from './kit.mjs';

const words = {
  en: { volume: 'Volume', statement: 'Statement', principal: 'Principal', grant: 'Grant', instance: 'Instance', group: 'Auto Scaling group', who: 'Who can kms:Decrypt', table: 'Table', remove: 'Remove', moveAlias: 'Point to another key', actions: 'Key actions', disable: 'Disable', retired: 'The grant was retired.', none: 'Nothing that can be seen from here stops working.' },
  ja: { volume: 'ボリューム', statement: 'ステートメント', principal: 'プリンシパル', grant: 'グラント', instance: 'インスタンス', group: 'Auto Scaling グループ', who: 'kms:Decrypt を実行できるプリンシパル', table: '表', remove: '削除', moveAlias: '別のキーに変更', actions: 'キーのアクション', disable: '無効化', retired: 'グラントの使用を停止しました。', none: 'ここから確認できる範囲で、動かなくなるものはありません。' },
};

const at = setting();
const visit = at.visit(words);

// reader makes a role that reads with an IAM policy.
async function reader(name) {
  const trust = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { AWS: account }, Action: 'sts:AssumeRole' }] };
  const { Role } = await at.w.iam.send(new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: JSON.stringify(trust) }));
  const policy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'kms:Decrypt', Resource: '*' }] };
  await at.w.iam.send(new PutRolePolicyCommand({ RoleName: name, PolicyName: 'reads', PolicyDocument: JSON.stringify(policy) }));
  return Role.Arn;
}

// launched makes a key under which a group runs.
async function launched(name) {
  const key = await at.w.key(name);
  const statement = { Sid: 'LetsLaunch', Effect: 'Allow', Principal: { AWS: linkedRole }, Action: ['kms:GenerateDataKey*', 'kms:CreateGrant', 'kms:DescribeKey'], Resource: '*' };
  const policy = JSON.parse(await at.w.policy(key));
  await at.w.kms.send(new PutKeyPolicyCommand({ KeyId: key.Arn, Policy: JSON.stringify({ ...policy, Statement: [...policy.Statement, statement] }) }));
  await at.w.group(name, key);
  await until('the group launches', async () => (await at.w.inService(name)) === 1);
  return key;
}

for (const language of ['en', 'ja']) {
  describe(language, () => {
    test('the access graph shows who has access by what, and what uses the key', visit(language, async (page, t) => {
      const name = `graph-${language}`;
      const key = await launched(name);
      await reader(name);
      await go(page, `keys/${key.KeyId}/graph`);
      const node = (kind, more = '') => page.getByRole('button', { name: new RegExp(`^${kind}, .*${more}`) });
      await node(t.group, name).waitFor();
      assert.ok((await node(t.principal, 'AWSServiceRoleForAutoScaling').count()) >= 1);
      assert.equal(await node(t.volume, 'vol-').count(), 1);
      assert.equal(await node(t.instance, 'i-').count(), 1);
      assert.equal(await node(t.grant).count(), 1);
      await node(t.statement, 'LetsLaunch').click();
      await page.getByTestId('evidence').getByText('"kms:GenerateDataKey*"').waitFor();
      assert.equal(await node(t.statement, 'LetsLaunch').getAttribute('aria-pressed'), 'true');
      await accessible(page, 'graph', language);
      // the keyboard leads through it
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('Enter');
      await page.getByTestId('evidence').getByText(/vol-[0-9a-f]+/).first().waitFor();
      // who can decrypt: the role by its IAM policy, which the key's policy lets decide
      await choose(page, 'graph-filter', t.who);
      await node(t.principal, name).waitFor();
      assert.equal(await node(t.statement, 'LetsLaunch').count(), 0);
      assert.equal(await node(t.grant).count(), 1); // of the volume, on a condition
      await node(t.principal, name).click();
      await page.getByTestId('evidence').getByText(`arn:aws:iam::${account}:role/${name}`).first().waitFor();
      await accessible(page, 'graph-who', language);
      await page.getByText(t.table, { exact: true }).first().click();
      await page.getByRole('button', { name: `${t.principal} ${name}` }).waitFor();
      await accessible(page, 'graph-table', language);
    }));

    test('disabling a key, and a policy that takes rights away, say what stops', visit(language, async (page, t) => {
      const name = `stops-${language}`;
      const key = await launched(name);
      await go(page, `keys/${key.KeyId}`);
      await page.getByRole('button', { name: t.actions }).click();
      await page.getByRole('menuitem', { name: t.disable, exact: true }).click();
      await page.getByTestId('impact').getByText(new RegExp(name)).first().waitFor();
      await page.getByTestId('impact').getByText(/vol-[0-9a-f]+/).first().waitFor();
      await accessible(page, 'disable', language);
      assert.equal((await at.w.kms.send(new DescribeKeyCommand({ KeyId: key.KeyId }))).KeyMetadata.KeyState, 'Enabled');
      await page.keyboard.press('Escape');
      await go(page, `keys/${key.KeyId}/policy`);
      await page.locator('[role=radio], [data-testid=for-auto-scaling]').first().waitFor();
      await page.getByText(language === 'ja' ? 'ポリシービュー' : 'Policy view', { exact: true }).first().click();
      const text = page.locator('textarea');
      const policy = JSON.parse(await text.inputValue());
      await text.fill(JSON.stringify({ ...policy, Statement: policy.Statement.slice(0, 1) }, null, 2));
      await page.locator('[data-testid=review]:not([disabled])').click();
      await page.getByTestId('impact').getByText(new RegExp(name)).first().waitFor();
      await accessible(page, 'review-impact', language);
    }));

    test('a grant is created with a constraint, and retired', visit(language, async (page, t) => {
      const key = await at.w.key(`grant-${language}`);
      const grants = async () => (await at.w.kms.send(new ListGrantsCommand({ KeyId: key.Arn }))).Grants;
      await go(page, `keys/${key.KeyId}/grants`);
      await page.getByTestId('create-grant').click();
      await page.getByTestId('grantee').locator('input').fill(linkedRole);
      await page.getByTestId('operations').getByRole('button').first().click();
      await page.getByRole('option', { name: 'Decrypt', exact: true }).click();
      await page.keyboard.press('Escape');
      await page.getByTestId('constraint').getByRole('button').first().click();
      await page.getByRole('option').nth(1).click();
      await page.locator('textarea').fill('nothing');
      assert.ok(await page.getByTestId('create-grant-now').isDisabled());
      await page.locator('textarea').fill('aws:ebs:id=vol-0123456789abcdef0');
      await accessible(page, 'create-grant', language);
      await page.getByTestId('create-grant-now').click();
      await page.getByRole('radio').first().waitFor();
      const [g] = await grants();
      assert.deepEqual([g.GranteePrincipal, g.Operations, g.Constraints], [linkedRole, ['Decrypt'], { EncryptionContextSubset: { 'aws:ebs:id': 'vol-0123456789abcdef0' } }]);
      await page.getByRole('radio').first().click();
      await page.getByTestId('retire').click();
      await page.getByTestId('impact').waitFor();
      await accessible(page, 'retire', language);
      await page.getByTestId('retire-now').click();
      await page.getByText(t.retired).waitFor();
      assert.deepEqual(await grants(), []);
    }));

    test('aliases are created, pointed to another key and deleted', visit(language, async (page, t) => {
      const [key, other] = [await at.w.key(`alias-${language}`), await at.w.key(`alias-other-${language}`)];
      const aliases = async (k) => (await at.w.kms.send(new ListAliasesCommand({ KeyId: k.KeyId }))).Aliases.map((a) => a.AliasName).sort();
      await go(page, `keys/${key.KeyId}/aliases`);
      await page.getByRole('tabpanel').locator('input').first().fill(`second-${language}`);
      await page.getByTestId('add-alias').click();
      await page.getByRole('button', { name: `${t.moveAlias}: alias/second-${language}` }).click();
      await page.getByTestId('target-key').locator('input').fill(other.KeyId);
      await accessible(page, 'move-alias', language);
      await page.getByTestId('alias-now').click();
      await page.getByRole('button', { name: `${t.moveAlias}: alias/second-${language}` }).waitFor({ state: 'detached' });
      assert.deepEqual(await aliases(other), [`alias/alias-other-${language}`, `alias/second-${language}`]);
      await page.getByRole('button', { name: `${t.remove}: alias/alias-${language}` }).click();
      await accessible(page, 'delete-alias', language);
      await page.getByTestId('alias-now').click();
      await page.getByRole('button', { name: `${t.remove}: alias/alias-${language}` }).waitFor({ state: 'detached' });
      assert.deepEqual(await aliases(key), []);
    }));
  });
}

test('a key with many grants: pages, and a picture that stays small', visit('en', async (page) => {
  const key = await at.w.key('many-grants');
  const grant = (i) => at.w.kms.send(new CreateGrantCommand({ KeyId: key.Arn, GranteePrincipal: linkedRole, Operations: ['Decrypt'], Name: `g${i}` }));
  for (let i = 0; i < 1200; i += 40) await Promise.all(Array.from({ length: 40 }, (_, k) => grant(i + k)));
  await go(page, `keys/${key.KeyId}/grants`);
  await page.getByRole('radio').first().waitFor();
  assert.equal(await page.getByRole('radio').count(), 50);
  await page.getByRole('button', { name: 'Next page' }).click();
  await page.locator('[aria-current=true]', { hasText: /^2$/ }).waitFor();
  await go(page, `keys/${key.KeyId}/graph`);
  await page.getByText('The key has more grants; the first 200 are here.').waitFor();
  await page.getByText('171 more in the table').waitFor();
  assert.ok((await page.locator('svg [data-node]').count()) < 60);
  await page.getByText('Table', { exact: true }).first().click();
  await page.getByRole('table').first().waitFor();
  assert.ok((await page.getByRole('row').count()) <= 26);
}));
