import { readFileSync } from 'node:fs';
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

export default defineConfig({
  base: './',
  plugins: [react(), facts()],
  build: {
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    license: { fileName: 'licenses.md' },
    chunkSizeWarningLimit: 2000,
    // What several screens share is in one file a library, not in many small ones: a browser asks a server for
    // few at a time. What one screen needs alone stays with it.
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'parts', test: /@cloudscape-design/, minShareCount: 2 },
            { name: 'signed', test: /@smithy|@aws-sdk|@aws-crypto/, minShareCount: 2 },
          ],
        },
      },
    },
  },
});
