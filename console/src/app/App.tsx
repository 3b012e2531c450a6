import { Suspense, useEffect, useState } from 'react';
import Spinner from '@cloudscape-design/components/spinner';
import TopNavigation from '@cloudscape-design/components/top-navigation';
import { applyMode, Mode } from '@cloudscape-design/global-styles';
import { useWords, type Tag } from '../i18n';
import { SessionContext, SignOutContext, type Session } from '../aws/session';
import { href, useRoute } from './route';
import { lazily } from '../ui/lazily';
import { fetchFirst } from './screens';
import { SignIn } from './SignIn';

// Frame is what is around the screens, fetched while somebody signs in.
const Frame = lazily(() => import('./Frame'));

const remembered = 'kagimori.mode';

function useMode() {
  const [mode, set] = useState(() => localStorage.getItem(remembered) ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
  useEffect(() => applyMode(mode === 'dark' ? Mode.Dark : Mode.Light), [mode]);
  return {
    mode,
    choose: (m: string) => {
      localStorage.setItem(remembered, m);
      set(m);
    },
  };
}

export function App() {
  const { t, tag, speak } = useWords();
  const { mode, choose } = useMode();
  const [session, setSession] = useState<Session | null>(null);
  const route = useRoute();
  useEffect(() => fetchFirst(route, Frame.fetch), []);
  const name = session ? session.arn.split(':').slice(5).join(':') : '';
  return (
    <>
      <div id="top">
        <TopNavigation
          identity={{ href: href('keys'), title: 'kagimori' }}
          utilities={[
            ...(session ? [{ type: 'menu-dropdown' as const, text: name, description: session.account, ariaLabel: session.arn, items: [{ id: 'out', text: t.signOut }], onItemClick: () => setSession(null) }] : []),
            ...(session ? [{ type: 'button' as const, text: session.region, ariaLabel: `${t.region}: ${session.region}`, disableUtilityCollapse: true }] : []),
            {
              type: 'menu-dropdown', text: tag === 'ja' ? '日本語' : 'English', ariaLabel: `${t.language}: ${tag === 'ja' ? '日本語' : 'English'}`, items: [{ id: 'en', text: 'English' }, { id: 'ja', text: '日本語' }],
              onItemClick: (e) => speak(e.detail.id as Tag),
            },
            {
              type: 'menu-dropdown', iconName: 'settings', ariaLabel: t.theme, title: t.theme, items: [{ id: 'light', text: t.light, disabled: mode === 'light' }, { id: 'dark', text: t.dark, disabled: mode === 'dark' }],
              onItemClick: (e) => choose(e.detail.id),
            },
          ]}
        />
      </div>
      {session ? (
        <SessionContext.Provider value={session}>
          <SignOutContext.Provider value={() => setSession(null)}>
            <Suspense fallback={<Spinner size="large" />}>
              <Frame route={route} />
            </Suspense>
          </SignOutContext.Provider>
        </SessionContext.Provider>
      ) : (
        <main>
          <SignIn onSession={setSession} />
        </main>
      )}
    </>
  );
}
