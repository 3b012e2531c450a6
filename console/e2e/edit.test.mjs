// The editor of policies, imported key material and replicas, in both languages.
import assert from 'node:assert/strict';
import { createHmac, createPublicKey, generateKeyPairSync, randomBytes, verify } from 'node:crypto';
import { describe, test } from 'node:test';
import { DecryptCommand, DescribeKeyCommand, EncryptCommand, GenerateMacCommand, SignCommand } from '@aws-sdk/client-kms';
import { accessible, account, go, linkedRole, setting, until } from './kit.mjs';

const words = {
  en: { linkedRole: 'Auto Scaling: service-linked role', otherAccount: 'Another AWS account', newMaterial: 'As new key material', waits: 'New: waits for its rotation', current: 'Current: encrypts', earlier: 'Earlier: decrypts', rotated: 'The key encrypts with the new material now.', nothingStops: /nothing stops without it/, textView: 'Policy view', imported: 'The key material was imported.', deleted: 'The key material was deleted.', replicated: /replica key is being created/, primaryMoves: /primary Region is being changed to eu-central-1/ },
  ja: { linkedRole: 'Auto Scaling: サービスにリンクされたロール', otherAccount: '別の AWS アカウント', newMaterial: '新しいキーマテリアルとしてインポート', waits: '新規: ローテーション待ち', current: '現在: 暗号化に使用', earlier: '以前: 復号に使用', rotated: 'キーは新しいキーマテリアルで暗号化するようになりました。', nothingStops: /削除しても何も停止しません/, textView: 'ポリシービュー', imported: 'キーマテリアルをインポートしました。', deleted: 'キーマテリアルを削除しました。', replicated: /レプリカキーを作成しています/, primaryMoves: /プライマリリージョンを eu-central-1 に変更しています/ },
};

const at = setting();
const visit = at.visit(words);

// into puts the caret of the editor after the first place of a text.
const into = (text, place) => text.evaluate((el, p) => {
  const at = el.value.indexOf(p) + p.length;
  el.focus();
  el.setSelectionRange(at, at);
}, place);

for (const language of ['en', 'ja']) {
  describe(language, () => {
    test('the editor completes actions, principals, operators and condition keys, and colours the text', visit(language, async (page, t) => {
      const key = await at.w.key(`edit-${language}`);
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

    test('whole statements are suggested between others, and inserted behind them', visit(language, async (page, t) => {
      const key = await at.w.key(`statements-${language}`);
      await go(page, `keys/${key.KeyId}/policy`);
      await page.getByTestId('for-auto-scaling').waitFor();
      await page.getByText(t.textView, { exact: true }).first().click();
      const text = page.locator('textarea');
      const was = JSON.parse(await text.inputValue());
      const sids = async () => JSON.parse(await text.inputValue()).Statement.map((st) => st.Sid);
      await page.getByTestId('insert-statement').and(page.locator(':not([disabled])')).waitFor();
      await into(text, '[');
      await page.keyboard.press('Control+Space');
      await page.getByRole('option', { name: t.linkedRole }).waitFor();
      await accessible(page, 'statements', language);
      await page.keyboard.press('Enter');
      const [uses, attaches, ...rest] = JSON.parse(await text.inputValue()).Statement;
      assert.deepEqual(rest, was.Statement);
      assert.equal(String(uses.Principal.AWS), linkedRole);
      assert.equal(String(attaches.Action), 'kms:CreateGrant');
      assert.equal(String(attaches.Condition.Bool['kms:GrantIsForAWSResource']), 'true');
      await page.keyboard.press('Control+z');
      assert.deepEqual(JSON.parse(await text.inputValue()), was);
      // within a statement there is no place for one
      await into(text, '"Effect"');
      await page.keyboard.press('Control+Space');
      assert.equal(await page.getByRole('option').count(), 0);
      await page.getByTestId('insert-statement').getByRole('button').click();
      await page.getByRole('menuitem', { name: t.otherAccount }).click();
      assert.deepEqual((await sids()).slice(0, was.Statement.length), was.Statement.map((st) => st.Sid));
      assert.ok((await text.inputValue()).includes('arn:aws:iam::111122223333:root'));
      await page.getByTestId('review').and(page.locator(':not([disabled])')).waitFor();
    }));

    test('more key material is imported, waits for the rotation, and stays to decrypt', visit(language, async (page, t) => {
      const key = await at.w.key(`materials-${language}`, { Origin: 'EXTERNAL' });
      const current = async () => (await at.w.kms.send(new DescribeKeyCommand({ KeyId: key.KeyId }))).KeyMetadata;
      const load = () => page.locator('input[type=file]').setInputFiles({ name: 'material.bin', mimeType: 'application/octet-stream', buffer: randomBytes(32) });
      const add = async () => {
        await load();
        await page.getByTestId('import-now').click();
      };
      const cell = (name) => page.getByRole('cell', { name });
      await go(page, `keys/${key.KeyId}/material`);
      await page.locator('input[type=file]').waitFor({ state: 'attached' });
      await add();
      await cell(t.current).waitFor();
      const first = (await current()).CurrentKeyMaterialId;
      const { CiphertextBlob } = await at.w.kms.send(new EncryptCommand({ KeyId: key.KeyId, Plaintext: Buffer.from('old') }));
      await page.getByTestId('rotate-material').and(page.locator('[disabled]')).waitFor(); // nothing to rotate to
      const more = async () => {
        await page.getByText(t.newMaterial).click();
        await add();
        await cell(t.waits).waitFor();
        assert.equal((await current()).CurrentKeyMaterialId, first);
      };
      await more();
      // what waits can go, and nothing stops without it
      await page.getByRole('row').filter({ hasText: t.waits }).getByRole('button').click();
      await page.getByText(t.nothingStops).waitFor();
      await page.getByTestId('delete-material-now').click();
      await page.getByText(t.deleted).waitFor();
      assert.equal((await current()).KeyState, 'Enabled');
      await cell(t.waits).waitFor({ state: 'detached' });
      await more();
      await accessible(page, 'materials', language);
      await page.getByTestId('rotate-material').click();
      await page.getByText(t.rotated).waitFor();
      await cell(t.earlier).waitFor();
      assert.equal(await cell(t.current).count(), 1);
      assert.notEqual((await current()).CurrentKeyMaterialId, first);
      const { Plaintext } = await at.w.kms.send(new DecryptCommand({ CiphertextBlob }));
      assert.equal(Buffer.from(Plaintext).toString(), 'old');
    }));

    test('key material is imported and deleted', visit(language, async (page, t) => {
      const key = await at.w.key(`material-${language}`, { Origin: 'EXTERNAL' });
      const state = async () => (await at.w.kms.send(new DescribeKeyCommand({ KeyId: key.KeyId }))).KeyMetadata.KeyState;
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
      const key = await at.w.key(`replicas-${language}`, { MultiRegion: true });
      const replica = `arn:aws:kms:eu-central-1:${account}:key/${key.KeyId}`;
      await go(page, `keys/${key.KeyId}/replicas`);
      await page.getByTestId('move-primary').and(page.locator('[disabled]')).waitFor(); // nowhere to move to
      await page.getByRole('tabpanel').locator('input').fill('eu-central-1');
      await page.getByTestId('replicate').click();
      await page.getByText(t.replicated).waitFor();
      await until('the replica is listed', async () => (await page.getByText(replica).count()) > 0);
      await accessible(page, 'replicas', language);
      await until('the replica can be used', async () => (await at.w.abroad('eu-central-1').send(new DescribeKeyCommand({ KeyId: replica }))).KeyMetadata.KeyState === 'Enabled');
      await page.getByTestId('move-primary').click();
      await accessible(page, 'move-primary', language);
      await page.getByTestId('move-primary-now').click();
      await page.getByText(t.primaryMoves).waitFor();
      const regions = async () => (await at.w.kms.send(new DescribeKeyCommand({ KeyId: key.KeyId }))).KeyMetadata.MultiRegionConfiguration.PrimaryKey.Region;
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
        const key = await at.w.key(`${spec.toLowerCase().replaceAll('_', '-')}-${language}`, { Origin: 'EXTERNAL', KeySpec: spec, KeyUsage: usage });
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
        assert.equal((await at.w.kms.send(new DescribeKeyCommand({ KeyId: key.KeyId }))).KeyMetadata.KeyState, 'Enabled');
        const [Message, MessageType] = [Buffer.from('what is signed'), 'RAW'];
        if (usage === 'GENERATE_VERIFY_MAC') {
          const { Mac } = await at.w.kms.send(new GenerateMacCommand({ KeyId: key.KeyId, Message, MacAlgorithm: 'HMAC_SHA_384' }));
          assert.deepEqual(Buffer.from(Mac), createHmac('sha384', material).update(Message).digest());
        } else {
          const SigningAlgorithm = spec === 'RSA_2048' ? 'RSASSA_PKCS1_V1_5_SHA_256' : 'ECDSA_SHA_512';
          const { Signature } = await at.w.kms.send(new SignCommand({ KeyId: key.KeyId, Message, MessageType, SigningAlgorithm }));
          const mine = createPublicKey(spec === 'RSA_2048' ? material : { key: material, format: 'der', type: 'pkcs8' });
          assert.ok(verify(spec === 'RSA_2048' ? 'sha256' : 'sha512', Message, mine, Signature));
        }
      }));
    }
  });
}
