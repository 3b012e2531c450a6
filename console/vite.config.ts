import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { defineConfig, type Plugin } from 'vite';
import react from '@vitejs/plugin-react';

// facts are the actions and condition keys of key policies, for the editor: those that the program
// decides by.
const facts = (): Plugin => ({
  name: 'policy-facts',
  resolveId: (id) => (id === 'virtual:policy-facts' ? '\0' + id : undefined),
  load(id) {
    if (id !== '\0virtual:policy-facts') return undefined;
    const table = JSON.parse(readFileSync(new URL('../internal/actions/table.json', import.meta.url), 'utf8'));
    const kms = table.services.kms;
    // A placeholder is the person's to fill in.
    const keys = [...Object.keys(kms.keys), ...Object.keys(table.global)].filter((k) => /^(kms|aws):/.test(k)).map((k) => k.replace(/\$\{.*\}$/, ''));
    const list = (names: string[]) => JSON.stringify([...new Set(names)].sort());
    return `export const actions = ${list(Object.keys(kms.actions).map((a) => 'kms:' + a))};\nexport const conditionKeys = ${list(keys)};\n`;
  },
});

// fonts takes the fonts out of the styles, so that a browser fetches those that a page shows, and shows it before
// they are there.
const fonts = (): Plugin => ({
  name: 'fonts',
  enforce: 'post',
  generateBundle(_, bundle) {
    for (const file of Object.values(bundle)) {
      if (file.type !== 'asset' || !file.fileName.endsWith('.css')) continue;
      file.source = String(file.source).replace(/@font-face\{[^}]*\}/g, (face) =>
        face
          .replace(/url\(data:font\/woff2;base64,([^)]+)\)/, (_, data) => {
            const [weight, style] = ['weight', 'style'].map((what) => new RegExp(`font-${what}:(\\w+)`).exec(face)![1]);
            const font = this.emitFile({ type: 'asset', name: `font-${weight}-${style}.woff2`, source: Buffer.from(data, 'base64') });
            return `url(./${basename(this.getFileName(font))})`;
          })
          .replace(/\}$/, ';font-display:swap}'),
      );
    }
  },
});

export default defineConfig({
  base: './',
  plugins: [react(), facts(), fonts()],
  build: {
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    license: { fileName: 'licenses.md' },
    chunkSizeWarningLimit: 2000,
    // What the form to sign in needs is by itself: React and the words, and the parts that are seen. What several
    // screens share is in one file a library, not in many small ones: a browser asks a server for few at a time.
    // What one screen needs alone stays with it.
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'first-parts', test: /@cloudscape-design/, tags: ['$initial'], priority: 1 },
            { name: 'first', tags: ['$initial'] },
            { name: 'parts', test: /@cloudscape-design/, minShareCount: 2 },
            { name: 'signed', test: /@smithy|@aws-sdk|@aws-crypto/, minShareCount: 2 },
          ],
        },
      },
    },
  },
});
