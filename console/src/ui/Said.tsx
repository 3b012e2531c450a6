import type { ReactNode } from 'react';

// Said is what AWS says, in English in every language: error messages, causes of activities.
export const Said = ({ children }: { children: ReactNode }) => <span lang="en">{children}</span>;
