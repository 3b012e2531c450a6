// Who is signed in, what they may see, and what the page may do, in both languages.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CreateGrantCommand, DisableKeyCommand, PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import { CreateAccessKeyCommand, CreateUserCommand, DeleteAccessKeyCommand, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { accessible, account, go, linkedRole, setting, until } from './kit.mjs';

const words = {
  en: { ended: 'Your credentials are no longer valid', signIn: 'Sign in', unreadPolicy: /The key policy cannot be read/, noGroup: /There is no group nothing/, unreadable: 'It cannot be read.', noMatches: 'No matches', disabled: 'Disabled', notFound: 'There is no such page.' },
  ja: { ended: '認証情報が無効になりました', signIn: 'サインイン', unreadPolicy: /キーポリシーを読み取れません/, noGroup: /グループ nothing はありません/, unreadable: '読み取れません。', noMatches: '一致なし', disabled: '無効', notFound: 'このページはありません。' },
};

const at = setting();
const visit = at.visit(words);

// person makes a user who may do some actions.
async function person(name, actions) {
  await at.w.iam.send(new CreateUserCommand({ UserName: name }));
  const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: actions, Resource: '*' }] });
  await at.w.iam.send(new PutUserPolicyCommand({ UserName: name, PolicyName: 'may', PolicyDocument }));
  const { AccessKey: k } = await at.w.iam.send(new CreateAccessKeyCommand({ UserName: name }));
  return { id: k.AccessKeyId, secret: k.SecretAccessKey };
}

for (const language of ['en', 'ja']) {
  const t = words[language];
  describe(language, () => {
    test('credentials that end lead to the sign-in, and nothing of them was kept', async () => {
      const who = await person(`ends-${language}`, ['kms:*', 'kagimori:*']);
      await visit(language, async (page) => {
        await page.locator('table').first().waitFor();
        const kept = await page.evaluate(async () => ({ local: Object.keys(localStorage).sort(), session: Object.keys(sessionStorage), cookie: document.cookie, databases: (await indexedDB.databases()).length }));
        assert.deepEqual(kept, { local: ['kagimori.language', 'kagimori.region'], session: [], cookie: '', databases: 0 });
        await at.w.iam.send(new DeleteAccessKeyCommand({ UserName: `ends-${language}`, AccessKeyId: who.id }));
        await go(page, 'stores');
        await page.getByTestId('problem').getByText(t.ended).waitFor();
        await accessible(page, 'ended', language);
        await page.getByTestId('sign-in-again').click();
        await page.getByRole('heading', { name: t.signIn }).waitFor();
        assert.equal(await page.locator('input[name=secret]').inputValue(), '');
      }, who)();
    });

    test('who may read little sees what it is, and that the rest cannot be read', async () => {
      const key = await at.w.key(`little-${language}`);
      const who = await person(`little-${language}`, ['kms:ListKeys', 'kms:DescribeKey']);
      await visit(language, async (page) => {
        await go(page, `keys/${key.KeyId}/graph`);
        await page.getByText(t.unreadPolicy).waitFor();
        await page.locator('svg [data-node]').first().waitFor();
        await accessible(page, 'graph-denied', language);
        for (const place of ['grants', 'who', 'rotation', 'aliases', 'tags']) {
          await go(page, `keys/${key.KeyId}/${place}`);
          await page.getByRole('tabpanel').getByTestId('problem').first().waitFor();
          await accessible(page, `denied-${place}`, language);
        }
        for (const place of ['stores', 'groups', 'audit']) {
          await go(page, place);
          await page.getByTestId('problem').getByText(/AccessDenied|not authorized/).first().waitFor();
          await page.getByText(t.unreadable).first().waitFor();
        }
        await accessible(page, 'denied-audit', language);
        await go(page, 'no-such-page');
        await page.getByText(t.notFound).waitFor();
      }, who)();
    });

    test('a key of another account: what that account lets be seen', async () => {
      const other = language === 'en' ? '555500005555' : '666600006666';
      const key = await at.w.key(`abroad-${language}`);
      const policy = JSON.parse(await at.w.policy(key));
      policy.Statement.push({ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${other}:root` }, Action: 'kms:*', Resource: '*' });
      await at.w.kms.send(new PutKeyPolicyCommand({ KeyId: key.Arn, Policy: JSON.stringify(policy) }));
      await visit(language, async (page) => {
        await go(page, `keys/${encodeURIComponent(key.Arn)}/graph`);
        await page.locator('svg [data-node]').first().waitFor();
        await page.getByText(t.unreadPolicy).waitFor();
        assert.equal(await page.getByText(`arn:aws:iam::${account}:`).count(), 0); // nobody of that account is named
        await accessible(page, 'graph-abroad', language);
      }, { id: `${other}ADMIN` })();
    });

    test('keys are filtered, and grants found', visit(language, async (page) => {
      const key = await at.w.key(`found-${language}`);
      const other = `arn:aws:iam::${account}:user/admin`;
      const { GrantId } = await at.w.kms.send(new CreateGrantCommand({ KeyId: key.Arn, GranteePrincipal: linkedRole, Operations: ['Decrypt'] }));
      await at.w.kms.send(new CreateGrantCommand({ KeyId: key.Arn, GranteePrincipal: other, Operations: ['Encrypt'] }));
      await at.w.kms.send(new DisableKeyCommand({ KeyId: key.Arn }));
      await page.getByRole('button', { name: /Refresh|更新/ }).first().click();
      await page.getByTestId('filter-state').getByRole('button').first().click();
      await page.getByRole('option', { name: t.disabled, exact: true }).click();
      await until('only disabled keys are listed', async () => {
        const rows = await page.locator('tbody tr').allInnerTexts();
        return rows.some((r) => r.includes(key.KeyId)) && rows.every((r) => r.includes(t.disabled));
      });
      await accessible(page, 'keys-filtered', language);
      await page.getByRole('link', { name: key.KeyId }).click();
      await go(page, `keys/${key.KeyId}/grants`);
      await page.getByRole('radio').nth(1).waitFor();
      const search = page.getByRole('tabpanel').getByRole('searchbox');
      for (const [text, shown] of [[GrantId, linkedRole], [other, other]]) {
        await search.fill(text);
        await search.press('Enter');
        await until('one grant is found', async () => (await page.getByRole('radio').count()) === 1 && (await page.getByRole('cell', { name: shown }).count()) === 1);
      }
      await search.fill('arn:aws:iam::123456789012:user/nobody');
      await search.press('Enter');
      await page.getByText(t.noMatches).waitFor();
      await go(page, 'groups/nothing');
      await page.getByText(t.noGroup).waitFor();
    }));
  });
}

test('nothing but its own scripts runs in the page', async () => {
  const page = await at.browser.context.newPage(); // one that is not watched: it is refused things on purpose
  await page.goto(`${at.server.url}/console/`);
  const policy = (await page.request.get(`${at.server.url}/console/`)).headers()['content-security-policy'];
  assert.match(policy, /default-src '(none|self)'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|https?:|\*/);
  const ran = await page.evaluate(() => new Promise((done) => {
    try {
      const s = document.createElement('script');
      s.textContent = 'window.ran = true'; // Trusted Types may refuse the text already
      document.body.append(s);
    } catch (e) {
      return done(e.name);
    }
    setTimeout(() => done(String(window.ran)), 500);
    return undefined;
  }));
  assert.notEqual(ran, 'true');
  assert.equal(await page.evaluate(() => fetch('https://example.com/').then(() => 'sent', () => 'refused')), 'refused');
  await page.close();
});
