// Lists that are long: keys of an account, and grants of one key. KEYS and GRANTS say how many; the console
// must not feel it. What each step took is printed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CreateAliasCommand, CreateGrantCommand, CreateKeyCommand } from '@aws-sdk/client-kms';
import { choose, go, linkedRole, setting, until } from './kit.mjs';

const [keys, grants] = [Number(process.env.KEYS ?? 1000), Number(process.env.GRANTS ?? 2000)];

let key;
let last;
const at = setting({
  prepare: async ({ w }) => {
    await w.role();
    const start = Date.now();
    const each = async (n, make) => {
      let i = 0;
      await Promise.all(Array.from({ length: 32 }, async () => { while (i < n) await make(i++); }));
    };
    await each(keys, async (i) => {
      const { KeyMetadata: made } = await w.kms.send(new CreateKeyCommand({}));
      if (i % 10 === 0) await w.kms.send(new CreateAliasCommand({ AliasName: `alias/key-${String(i).padStart(5, '0')}`, TargetKeyId: made.KeyId }));
    });
    key = await w.key('granted');
    await each(grants, async (i) => {
      last = (await w.kms.send(new CreateGrantCommand({ KeyId: key.Arn, GranteePrincipal: linkedRole, Operations: ['Decrypt'], Name: `g${i}` }))).GrantId;
    });
    console.log(`${keys} keys and ${grants} grants took ${Date.now() - start} ms`);
  },
});

// took tells how long something takes.
async function took(what, run) {
  const start = Date.now();
  await run();
  console.log(`${what}: ${Date.now() - start} ms`);
}

const visit = (use) => at.visit()('en', use);

test('many keys: pages, a search and a filter', visit(async (page) => {
  const rows = page.locator('tbody tr');
  await page.getByRole('link', { name: /^[0-9a-f-]{36}$/ }).first().waitFor();
  await go(page, 'check');
  await page.locator('textarea').waitFor();
  await took('the first page of keys', async () => {
    await go(page, 'keys');
    await page.getByRole('link', { name: /^[0-9a-f-]{36}$/ }).nth(19).waitFor();
  });
  assert.equal(await rows.count(), 20); // whatever there is, this is what is drawn
  await took('the next page', async () => {
    await page.getByRole('button', { name: 'Next page' }).click();
    await page.locator('[aria-current=true]', { hasText: /^2$/ }).waitFor();
    await page.getByRole('link', { name: /^[0-9a-f-]{36}$/ }).nth(19).waitFor();
  });
  await took('a page that was visited', async () => {
    const [first] = await rows.first().getByRole('link').allInnerTexts();
    await page.getByRole('button', { name: 'Next page' }).click();
    await page.locator('[aria-current=true]', { hasText: /^3$/ }).waitFor();
    await page.getByRole('button', { name: 'Page 2', exact: true }).click();
    await page.getByRole('link', { name: first }).waitFor();
  });
  await took('a search', async () => {
    await page.getByRole('searchbox').fill('key-0001');
    await page.keyboard.press('Enter');
    await page.getByText('1 keys match').waitFor();
  });
  await page.getByRole('searchbox').fill('');
  await page.getByTestId('filter-state').getByRole('button').first().click();
  await took('a filter that nothing matches', async () => {
    await page.getByRole('option', { name: 'Disabled', exact: true }).click();
    await page.getByText(/^No matches/).waitFor();
  });
}));

test('many grants: pages, a search, the picture', visit(async (page) => {
  await go(page, `keys/${key.KeyId}`);
  await page.getByTestId('for-auto-scaling').waitFor();
  await took('the first page of grants', async () => {
    await go(page, `keys/${key.KeyId}/grants`);
    await page.getByRole('radio').nth(49).waitFor();
  });
  assert.equal(await page.getByRole('radio').count(), 50);
  await took('the next page of grants', async () => {
    const first = await page.locator('tbody tr').first().innerText();
    await page.getByRole('button', { name: 'Next page' }).click();
    await until('other grants', async () => (await page.locator('tbody tr').first().innerText()) !== first && (await page.getByRole('radio').count()) === 50);
  });
  await took('a grant by its ID', async () => {
    const search = page.getByRole('tabpanel').getByRole('searchbox');
    await search.fill(last);
    await search.press('Enter');
    await until('one grant', async () => (await page.getByRole('radio').count()) === 1);
  });
  await took('what stops without one of them', async () => {
    await page.getByRole('radio').click();
    await page.getByTestId('revoke').click();
    await page.getByTestId('impact').waitFor();
    await page.keyboard.press('Escape');
  });
  await took('who can use the key', async () => {
    await go(page, `keys/${key.KeyId}/who`);
    await page.getByRole('rowheader', { name: linkedRole }).waitFor();
  });
  if (grants > 100) await page.getByText(`${grants - 8} more`).first().waitFor();
  await took('the picture', async () => {
    await go(page, `keys/${key.KeyId}/graph`);
    await page.locator('svg [data-node]').first().waitFor();
  });
  await took('who can decrypt, in the picture', async () => {
    await choose(page, 'graph-filter', 'Who can kms:Decrypt');
    await page.locator('svg .kg-policy').first().waitFor();
  });
  assert.ok((await page.locator('svg [data-node]').count()) < 60);
}));
