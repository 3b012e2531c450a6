import { useState } from 'react';
import FileUpload from '@cloudscape-design/components/file-upload';
import { useWords } from '../i18n';

type Props = { onChoose: (file?: File) => void | Promise<void>; accept?: string };

// Choose takes one file of this machine. Nothing of it is sent by choosing it.
export function Choose({ onChoose, accept }: Props) {
  const { t } = useWords();
  const [files, set] = useState<File[]>([]);
  return (
    <FileUpload
      value={files}
      accept={accept}
      showFileSize
      i18nStrings={{ uploadButtonText: () => t.checkFile, dropzoneText: () => t.checkFile, removeFileAriaLabel: () => t.remove, limitShowFewer: t.close, limitShowMore: t.loadMore, errorIconAriaLabel: t.failed }}
      onChange={(e) => {
        set(e.detail.value);
        void onChoose(e.detail.value[0]);
      }}
    />
  );
}
