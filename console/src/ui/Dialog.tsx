import type { ReactNode } from 'react';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Modal from '@cloudscape-design/components/modal';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useWords } from '../i18n';
import { Problem } from './Problem';

type Props = {
  title: string; children: ReactNode; onClose: () => void; size?: 'medium' | 'large' | 'max';
  // run does what the dialog is about; label and id are those of its button.
  run: () => void; label?: string; id?: string; busy?: boolean; disabled?: boolean; error?: unknown;
};

// Dialog asks before something is done: what it is about, the error if it failed, and two buttons.
export function Dialog({ title, children, onClose, size, run, label = title, id, busy, disabled, error }: Props) {
  const { t } = useWords();
  return (
    <Modal
      visible
      size={size}
      header={title}
      closeAriaLabel={t.close}
      onDismiss={onClose}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onClose}>{t.cancel}</Button>
            <Button variant="primary" loading={busy} disabled={disabled} onClick={run} data-testid={id}>{label}</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        {children}
        <Problem error={error} />
      </SpaceBetween>
    </Modal>
  );
}
