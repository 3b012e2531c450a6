import { Suspense, useEffect, useState } from 'react';
import AppLayout from '@cloudscape-design/components/app-layout';
import Box from '@cloudscape-design/components/box';
import SideNavigation from '@cloudscape-design/components/side-navigation';
import Spinner from '@cloudscape-design/components/spinner';
import { useWords } from '../i18n';
import { href } from './route';
import { Audit, Check, CreateKey, Explanation, fetchNext, Group, Groups, Key, Keys, Stores } from './screens';

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

// Frame is the navigation and the screen beside it.
export default function Frame({ route }: { route: string[] }) {
  const { t } = useWords();
  const [navigation, setNavigation] = useState(true);
  useEffect(fetchNext, []);
  const nav = [
    { type: 'link' as const, text: t.keysNav, href: href('keys') },
    { type: 'link' as const, text: t.stores, href: href('stores') },
    { type: 'link' as const, text: t.groupsNav, href: href('groups') },
    { type: 'link' as const, text: t.checkNav, href: href('check') },
    { type: 'link' as const, text: t.auditNav, href: href('audit') },
  ];
  const active = { keys: 'keys', 'create-key': 'keys', stores: 'stores', explain: 'groups', groups: 'groups', check: 'check', audit: 'audit', authorizations: 'audit' }[route[0] || 'keys'];
  return (
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
  );
}
