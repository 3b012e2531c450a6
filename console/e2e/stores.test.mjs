// Custom key stores in both languages, against a proxy that is real: kagimori's own, through TLS.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DecryptCommand, DescribeCustomKeyStoresCommand, DescribeKeyCommand, EncryptCommand, ListResourceTagsCommand, ScheduleKeyDeletionCommand } from '@aws-sdk/client-kms';
import { accessible, go, keeper, setting, until, world } from './kit.mjs';

const words = {
  en: { none: 'There are no custom key stores in this account and Region.', actions: 'Key store actions', connect: 'Connect', disconnect: 'Disconnect', edit: 'Edit key store', delete: 'Delete key store', connected: 'Connected', disconnected: 'Disconnected', inStore: /^External key store/, deleted: 'The key store was deleted.' },
  ja: { none: 'このアカウントとリージョンにカスタムキーストアはありません。', actions: 'キーストアのアクション', connect: '接続', disconnect: '切断', edit: 'キーストアを編集', delete: 'キーストアを削除', connected: '接続済み', disconnected: '切断済み', inStore: /^外部キーストア/, deleted: 'キーストアを削除しました。' },
};

const at = setting({ start: keeper, prepare: () => undefined });

for (const language of ['en', 'ja']) {
  const t = words[language];
  const own = language === 'en' ? '111100001111' : '222200002222';
  const visit = (use) => at.visit()(language, use, { id: `${own}ADMIN` });
  describe(language, () => {
    test('a key store is created, connected, used, changed, disconnected and deleted', visit(async (page) => {
      const w = world(at.server.url, own);
      const prefix = `/acme-${language}`;
      const { file, key } = await at.server.credential(prefix);
      const stores = async () => (await w.kms.send(new DescribeCustomKeyStoresCommand({}))).CustomKeyStores;
      const act = async (name) => {
        await page.getByRole('radio').first().click();
        await page.getByRole('button', { name: t.actions }).click();
        await page.getByRole('menuitem', { name, exact: true }).click();
      };
      await go(page, 'stores');
      await page.getByText(t.none).waitFor();
      await accessible(page, 'stores-none', language);
      await page.getByTestId('create-store').click();
      await page.locator('input[name=store-name]').fill('keeper');
      await page.locator('input[name=endpoint]').fill('https://xks.example.com');
      await page.locator('input[name=prefix]').fill('/nobody');
      await page.locator('input[type=file]').setInputFiles(file);
      await until('the credential is read', async () => (await page.locator('input[name=proxy-secret]').inputValue()).length > 20);
      await page.getByTestId('save-store').click();
      await page.getByTestId('problem').getByText(/XksProxy[A-Za-z]+Exception/).waitFor(); // KMS's words
      await page.locator('input[name=prefix]').fill(prefix);
      await accessible(page, 'create-store', language);
      await page.getByTestId('save-store').click();
      await page.getByTestId('save-store').waitFor({ state: 'detached' });
      await page.getByRole('cell', { name: t.disconnected }).waitFor();
      assert.equal((await stores())[0].XksProxyConfiguration.UriPath, `${prefix}/kms/xks/v1`);
      await act(t.connect);
      await accessible(page, 'connect-store', language);
      await page.getByTestId('store-now').click();
      await page.getByRole('cell', { name: t.connected }).waitFor(); // follows by itself
      await accessible(page, 'stores', language);
      await act(t.edit);
      await page.locator('input[name=store-name]').fill('renamed');
      assert.ok(await page.locator('input[name=endpoint]').isDisabled());
      await accessible(page, 'edit-store', language);
      await page.getByTestId('save-store').click();
      await page.getByText('renamed').waitFor();
      // a key in the store
      await go(page, 'create-key');
      await page.getByRole('radio', { name: t.inStore }).click();
      await page.getByTestId('store').getByRole('button').first().click();
      await page.getByRole('option', { name: /renamed/ }).click();
      await page.locator('input[name=xks-key]').fill(key);
      await accessible(page, 'create-key-store', language);
      const next = page.locator('button[class*=primary-button]');
      await next.click();
      await page.locator('input[name=alias]').fill('outside');
      await page.locator('main textarea').fill('team=red');
      await next.click();
      await next.click();
      await page.locator('pre').getByText('Enable IAM User Permissions').waitFor();
      await next.click();
      await page.getByRole('heading', { name: 'outside' }).waitFor();
      const made = (await w.kms.send(new DescribeKeyCommand({ KeyId: 'alias/outside' }))).KeyMetadata;
      assert.deepEqual([made.Origin, made.XksKeyConfiguration.Id, made.CustomKeyStoreId], ['EXTERNAL_KEY_STORE', key, (await stores())[0].CustomKeyStoreId]);
      assert.deepEqual((await w.kms.send(new ListResourceTagsCommand({ KeyId: made.KeyId }))).Tags, [{ TagKey: 'team', TagValue: 'red' }]);
      const { CiphertextBlob } = await w.kms.send(new EncryptCommand({ KeyId: made.KeyId, Plaintext: Buffer.from('secret') }));
      assert.equal(Buffer.from((await w.kms.send(new DecryptCommand({ CiphertextBlob }))).Plaintext).toString(), 'secret');
      // without the store its keys are of no use; with them it cannot be deleted
      await go(page, 'stores');
      await page.getByRole('cell', { name: t.connected }).waitFor();
      await act(t.disconnect);
      await page.getByTestId('store-now').click();
      await page.getByRole('cell', { name: t.disconnected }).waitFor();
      await assert.rejects(w.kms.send(new DecryptCommand({ CiphertextBlob })), /not connected/);
      await act(t.delete);
      await page.getByTestId('store-now').click();
      await page.getByTestId('problem').getByText('CustomKeyStoreHasCMKsException').waitFor();
      await accessible(page, 'delete-store', language);
      await w.kms.send(new ScheduleKeyDeletionCommand({ KeyId: made.KeyId, PendingWindowInDays: 7 }));
      await at.server.advance('192h');
      await page.getByTestId('store-now').click();
      await page.getByText(t.deleted).waitFor();
      assert.deepEqual(await stores(), []);
    }));
  });
}
