package etcdtest

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// RequireUsers has a cluster want a name and a password: "root" with "secret", and "kagimori" with "secret",
// which may read and write what is below kagimori/ alone.
func RequireUsers(ctx context.Context, admin *clientv3.Client) error {
	for _, do := range []func() error{
		func() error { _, err := admin.RoleAdd(ctx, "kagimori"); return err },
		func() error {
			_, err := admin.RoleGrantPermission(ctx, "kagimori", "kagimori/", "kagimori0", clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error { _, err := admin.UserAdd(ctx, "root", "secret"); return err },
		func() error { _, err := admin.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := admin.UserAdd(ctx, "kagimori", "secret"); return err },
		func() error { _, err := admin.UserGrantRole(ctx, "kagimori", "kagimori"); return err },
		func() error { _, err := admin.AuthEnable(ctx); return err },
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}
