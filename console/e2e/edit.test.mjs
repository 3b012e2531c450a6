// The editor of policies, imported key material and replicas, in both languages.
import assert from 'node:assert/strict';
import { createHmac, createPublicKey, generateKeyPairSync, randomBytes, verify } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { DescribeKeyCommand, GenerateMacCommand, SignCommand } from '@aws-sdk/client-kms';
import { accessible, account, browse, go, linkedRole, serve, tab, until, world } from './kit.mjs';

const words = {
  en: { textView: 'Policy view', imported: 'The key material was imported.', deleted: 'The key material was deleted.', replicated: /replica key is being created/, primaryMoves: /primary Region is being changed to eu-central-1/ },
  ja: { textView: 'ポリシービュー', imported: 'キーマテリアルをインポートしました。', deleted: 'キーマテリアルを削除しました。', replicated: /レプリカキーを作成しています/, primaryMoves: /プライマリリージョンを eu-central-1 に変更しています/ },
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

    test('a multi-Region key is replicated, and its primary moves', visit(language, async (page, t) => {
      const key = await w.key(`replicas-${language}`, { MultiRegion: true });
      const replica = `arn:aws:kms:eu-central-1:${account}:key/${key.KeyId}`;
      await go(page, `keys/${key.KeyId}/replicas`);
      await page.getByTestId('move-primary').and(page.locator('[disabled]')).waitFor(); // nowhere to move to
      await page.getByRole('tabpanel').locator('input').fill('eu-central-1');
      await page.getByTestId('replicate').click();
      await page.getByText(t.replicated).waitFor();
      await until('the replica is listed', async () => (await page.getByText(replica).count()) > 0);
      await accessible(page, 'replicas', language);
      await until('the replica can be used', async () => (await w.abroad('eu-central-1').send(new DescribeKeyCommand({ KeyId: replica }))).KeyMetadata.KeyState === 'Enabled');
      await page.getByTestId('move-primary').click();
      await accessible(page, 'move-primary', language);
      await page.getByTestId('move-primary-now').click();
      await page.getByText(t.primaryMoves).waitFor();
      const regions = async () => (await w.kms.send(new DescribeKeyCommand({ KeyId: key.KeyId }))).KeyMetadata.MultiRegionConfiguration.PrimaryKey.Region;
      await until('the primary has moved', async () => (await regions()) === 'eu-central-1');
      await page.getByRole('tabpanel').getByRole('button').first().click(); // refresh
      await page.getByTestId('move-primary').waitFor({ state: 'detached' }); // a replica moves nothing
    }));

    for (const [name, spec, usage, make] of [
      ['an HMAC key', 'HMAC_384', 'GENERATE_VERIFY_MAC', () => randomBytes(48)],
      ['an RSA key, as PEM', 'RSA_2048', 'SIGN_VERIFY', () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })],
      ['a key on a curve, as DER', 'ECC_NIST_P521', 'SIGN_VERIFY', () => generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey.export({ type: 'pkcs8', format: 'der' })],
    ]) {
      test(`key material of ${name} is imported`, visit(language, async (page, t) => {
        const key = await w.key(`${spec.toLowerCase().replaceAll('_', '-')}-${language}`, { Origin: 'EXTERNAL', KeySpec: spec, KeyUsage: usage });
        await go(page, `keys/${key.KeyId}/material`);
        const file = (buffer) => page.locator('input[type=file]').setInputFiles({ name: 'material', mimeType: 'application/octet-stream', buffer: Buffer.from(buffer) });
        if (spec === 'RSA_2048') {
          await file('-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n');
          await page.getByText('openssl pkcs8 -topk8 -nocrypt').waitFor();
          assert.ok(await page.getByTestId('import-now').isDisabled());
          await accessible(page, 'material-wrong', language);
        }
        const material = make();
        await file(material);
        await page.getByTestId('import-now').click();
        await page.getByText(t.imported).waitFor({ timeout: 60_000 }); // the server makes an RSA key first, which takes as long as it takes
        assert.equal((await w.kms.send(new DescribeKeyCommand({ KeyId: key.KeyId }))).KeyMetadata.KeyState, 'Enabled');
        const [Message, MessageType] = [Buffer.from('what is signed'), 'RAW'];
        if (usage === 'GENERATE_VERIFY_MAC') {
          const { Mac } = await w.kms.send(new GenerateMacCommand({ KeyId: key.KeyId, Message, MacAlgorithm: 'HMAC_SHA_384' }));
          assert.deepEqual(Buffer.from(Mac), createHmac('sha384', material).update(Message).digest());
        } else {
          const SigningAlgorithm = spec === 'RSA_2048' ? 'RSASSA_PKCS1_V1_5_SHA_256' : 'ECDSA_SHA_512';
          const { Signature } = await w.kms.send(new SignCommand({ KeyId: key.KeyId, Message, MessageType, SigningAlgorithm }));
          const mine = createPublicKey(spec === 'RSA_2048' ? material : { key: material, format: 'der', type: 'pkcs8' });
          assert.ok(verify(spec === 'RSA_2048' ? 'sha256' : 'sha512', Message, mine, Signature));
        }
      }));
    }
  });
}
