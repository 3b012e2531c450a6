package objects_test

import (
	"os"
	"testing"

	"github.com/kagimori/kagimori/internal/objects"
	"github.com/kagimori/kagimori/internal/objects/objectstest"
)

func open(t *testing.T) (*objects.Folder, *os.Root) {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return objects.NewFolder(root), root
}

func TestFolder(t *testing.T) {
	f, _ := open(t)
	objectstest.Run(t, f)
}

// An empty folder is left without folders, and what an interrupted write left goes.
func TestFolderLeavesNothing(t *testing.T) {
	f, root := open(t)
	ctx := t.Context()
	if err := f.Put(ctx, "a/b/c", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := root.WriteFile(".writing/half", []byte("y"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Delete(ctx, "a/b/c"); err != nil {
		t.Fatal(err)
	}
	if err := f.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(root.Name())
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"a": true, "block/snap-1/0000": true, "A.b_c-d": true,
		"": false, "/a": false, "a/": false, "a//b": false, "../a": false, "a/../b": false, ".hidden": false, "a/.b": false, "a b": false, "ä": false,
	} {
		if err := objects.CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
