// What vite.config.ts takes from the table of actions (internal/actions/table.json).
declare module 'virtual:policy-facts' {
  export const actions: string[];
  export const conditionKeys: string[];
}
