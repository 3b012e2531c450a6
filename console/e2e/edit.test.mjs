// The editor of policies, imported key material, replicas and custom key stores, in both languages.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { DescribeKeyCommand } from '@aws-sdk/client-kms';
import { accessible, account, browse, go, linkedRole, serve, tab, until, world } from './kit.mjs';

const words = {
  en: { textView: 'Policy view', stores: 'Custom key stores', imported: 'The key material was imported.', deleted: 'The key material was deleted.', replicated: /replica key is being created/ },
  ja: { textView: 'ポリシービュー', stores: 'カスタムキーストア', imported: 'キーマテリアルをインポートしました。', deleted: 'キーマテリアルを削除しました。', replicated: /レプリカキーを作成しています/ },
};

let server;
let browser;
let w;
before(async () => {
  server = await serve();
  browser = await browse();
  w = world(server.url);
  await w.role();
});
after(async () => {
  await browser?.stop();
  await server?.stop();
});

const visit = (language, use, who) => tab(() => [browser, server], language, (page) => use(page, words[language]), who);

// into puts the caret of the editor after the first place of a text.
const into = (text, place) => text.evaluate((el, p) => {
  const at = el.value.indexOf(p) + p.length;
  el.focus();
  el.setSelectionRange(at, at);
}, place);

for (const language of ['en', 'ja']) {
  describe(language, () => {
    test('the editor completes actions, principals, operators and condition keys, and colours the text', visit(language, async (page, t) => {
      const key = await w.key(`edit-${language}`);
      await go(page, `keys/${key.KeyId}/policy`);
      await page.getByTestId('for-auto-scaling').waitFor();
      await page.getByText(t.textView, { exact: true }).first().click();
      const text = page.locator('textarea');
      const statement = { Effect: '', Principal: { AWS: '', Service: '' }, Action: [''], Resource: '*', Condition: { Op: { Key: '' } } };
      await text.fill(JSON.stringify({ Version: '2012-10-17', Statement: [statement] }));
      const options = page.getByRole('option');
      const value = async () => JSON.parse(await text.inputValue()).Statement[0];
      await into(text, '"Action":["');
      await page.keyboard.type('decr');
      await options.getByText('kms:Decrypt', { exact: true }).waitFor();
      await accessible(page, 'editor', language);
      await page.keyboard.press('Enter');
      assert.deepEqual((await value()).Action, ['kms:Decrypt']);
      assert.equal(await options.count(), 0);
      await into(text, '"AWS":"');
      await page.keyboard.type('AutoSc');
      await options.getByText(linkedRole).waitFor();
      await page.keyboard.press('Tab');
      assert.equal((await value()).Principal.AWS, linkedRole);
      await into(text, '"Condition":{"');
      await page.keyboard.press('Delete');
      await page.keyboard.press('Delete');
      await page.keyboard.type('Bool');
      await options.getByText('Bool', { exact: true }).waitFor();
      await page.keyboard.press('Escape');
      assert.equal(await options.count(), 0);
      await into(text, '{"Bool":{"');
      await page.keyboard.press('Delete');
      await page.keyboard.press('Delete');
      await page.keyboard.press('Delete');
      await page.keyboard.type('GrantIsFor');
      await options.getByText('kms:GrantIsForAWSResource', { exact: true }).click();
      await into(text, '"kms:GrantIsForAWSResource":"');
      await page.keyboard.press('Control+Space');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('ArrowUp');
      await page.keyboard.press('Enter');
      assert.deepEqual((await value()).Condition, { Bool: { 'kms:GrantIsForAWSResource': 'true' } });
      // what was taken is undone like what was typed
      await page.keyboard.press('Control+z');
      assert.deepEqual((await value()).Condition, { Bool: { 'kms:GrantIsForAWSResource': '' } });
      assert.equal(await page.locator('.kg-colours').innerText().then((x) => x.trim()), (await text.inputValue()).trim());
      assert.ok((await page.locator('.kg-colours .kg-name').count()) >= 9);
      // Tab leads out where nothing is suggested
      await page.keyboard.press('Escape');
      await page.keyboard.press('Tab');
      assert.notEqual(await page.evaluate(() => document.activeElement.tagName), 'TEXTAREA');
    }));

    test('key material is imported and deleted', visit(language, async (page, t) => {
      const key = await w.key(`material-${language}`, { Origin: 'EXTERNAL' });
      const state = async () => (await w.kms.send(new DescribeKeyCommand({ KeyId: key.KeyId }))).KeyMetadata.KeyState;
      const file = (n) => page.locator('input[type=file]').setInputFiles({ name: 'material.bin', mimeType: 'application/octet-stream', buffer: randomBytes(n) });
      await go(page, `keys/${key.KeyId}/material`);
      await page.locator('input[type=file]').waitFor({ state: 'attached' });
      await file(31);
      await page.getByTestId('import-now').click();
      await page.getByTestId('problem').waitFor(); // KMS's words
      assert.equal(await state(), 'PendingImport');
      await page.getByRole('tabpanel').locator('[class*=token] button, [class*=file] button').last().click();
      await file(32);
      await accessible(page, 'material', language);
      await page.getByTestId('import-now').click();
      await page.getByText(t.imported).waitFor();
      assert.equal(await state(), 'Enabled');
      await page.getByTestId('delete-material').click();
      await page.getByTestId('impact').waitFor();
      await accessible(page, 'delete-material', language);
      await page.getByTestId('delete-material-now').click();
      await page.getByText(t.deleted).waitFor();
      assert.equal(await state(), 'PendingImport');
    }));

    test('a multi-Region key and its replicas; custom key stores', visit(language, async (page, t) => {
      const key = await w.key(`replicas-${language}`, { MultiRegion: true });
      await go(page, `keys/${key.KeyId}/replicas`);
      await page.getByRole('tabpanel').locator('input').fill('eu-central-1');
      await page.getByTestId('replicate').click();
      await page.getByText(t.replicated).waitFor();
      await until('the replica is listed', async () => (await page.getByText(`arn:aws:kms:eu-central-1:${account}:key/${key.KeyId}`).count()) > 0);
      await accessible(page, 'replicas', language);
      await go(page, 'stores');
      await page.getByRole('heading', { name: t.stores }).waitFor();
      await accessible(page, 'stores', language);
    }));
  });
}
