import { lazy, Suspense, useEffect, useState } from 'react';
import AppLayout from '@cloudscape-design/components/app-layout';
import Box from '@cloudscape-design/components/box';
import SideNavigation from '@cloudscape-design/components/side-navigation';
import Spinner from '@cloudscape-design/components/spinner';
import TopNavigation from '@cloudscape-design/components/top-navigation';
import { applyMode, Mode } from '@cloudscape-design/global-styles';
import { useWords, type Tag } from '../i18n';
import { SessionContext, SignOutContext, type Session } from '../aws/session';
import { href, useRoute } from './route';
import { SignIn } from './SignIn';

const Keys = lazy(() => import('../keys/Keys'));
const Key = lazy(() => import('../keys/Key'));
const CreateKey = lazy(() => import('../keys/CreateKey'));
const Stores = lazy(() => import('../stores/Stores'));
const Groups = lazy(() => import('../groups/Groups'));
const Group = lazy(() => import('../groups/Group'));
const Explanation = lazy(() => import('../explain/Explanation'));
const Check = lazy(() => import('../check/Check'));
const Audit = lazy(() => import('../audit/Audit'));

// Screen is the page that the fragment names.
function Screen({ route }: { route: string[] }) {
  const { t } = useWords();
  const [name, id, tab] = route;
  switch (name || 'keys') {
    case 'keys':
      return id ? <Key key={id} id={id} tab={tab} /> : <Keys />;
    case 'create-key':
      return <CreateKey />;
    case 'stores':
      return <Stores />;
    case 'groups':
      return id ? <Group key={id} name={id} /> : <Groups />;
    case 'explain':
      return <Explanation key={id} id={id} of="resource" />;
    case 'authorizations':
      return <Explanation key={id} id={id} of="request" />;
    case 'check':
      return <Check />;
    case 'audit':
      return <Audit />;
  }
  return <Box>{t.notFound}</Box>;
}

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
  const [navigation, setNavigation] = useState(true);
  const route = useRoute();
  const nav = [
    { type: 'link' as const, text: t.keysNav, href: href('keys') },
    { type: 'link' as const, text: t.stores, href: href('stores') },
    { type: 'link' as const, text: t.groupsNav, href: href('groups') },
    { type: 'link' as const, text: t.checkNav, href: href('check') },
    { type: 'link' as const, text: t.auditNav, href: href('audit') },
  ];
  const active = { keys: 'keys', 'create-key': 'keys', stores: 'stores', explain: 'groups', groups: 'groups', check: 'check', audit: 'audit', authorizations: 'audit' }[route[0] || 'keys'];
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
          <AppLayout
            headerSelector="#top"
            toolsHide
            navigationOpen={navigation}
            onNavigationChange={(e) => setNavigation(e.detail.open)}
            navigation={<SideNavigation header={{ text: t.services, href: href('keys') }} activeHref={active && href(active)} items={nav} />}
            content={
              <Suspense fallback={<Spinner size="large" />}>
                <Screen route={route} />
              </Suspense>
            }
          />
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
