import { useState } from 'react';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useWords } from '../i18n';

type Marker = string | undefined;

// useMarkers are the pages of a list of a server, which knows the next one by a marker only.
export function useMarkers() {
  const [markers, set] = useState<Marker[]>([undefined]);
  return {
    page: markers.length,
    marker: markers[markers.length - 1],
    first: () => set([undefined]),
    next: (m: Marker) => set((all) => [...all, m]),
    previous: () => set((all) => all.slice(0, -1)),
  };
}

// Pager leads through such a list.
export function Pager({ at, next }: { at: ReturnType<typeof useMarkers>; next: Marker }) {
  const { t } = useWords();
  return (
    <SpaceBetween direction="horizontal" size="xs">
      <Button iconName="angle-left" variant="icon" ariaLabel={t.previous} disabled={at.page < 2} onClick={at.previous} />
      <Box padding={{ top: 'xxs' }}>{t.page} {at.page}</Box>
      <Button iconName="angle-right" variant="icon" ariaLabel={t.next} disabled={!next} onClick={() => at.next(next)} />
    </SpaceBetween>
  );
}
