package kms

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/xks"
)

// storeState refuses an operation in a connection state.
func storeState(st *storeRecord, op string) error {
	return apierr.Newf(codeStoreState, "%s is not valid for the custom key store %s while its connection state is %s.", op, st.ID, st.State)
}

// changeStore decides an action on a store and applies fn to it.
func (s *Service) changeStore(ctx context.Context, c *guard.Call, id *string, fn func(store.Tx, *storeRecord) error) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.allowAny(tx, c, "kms:"+c.Operation); err != nil {
			return err
		}
		st, err := findStore(tx, c, *id)
		if err != nil {
			return err
		}
		return fn(tx, &st)
	})
}

// ConnectCustomKeyStore begins to connect a store to its proxy; how that went is in
// DescribeCustomKeyStores. Source: API Reference, ConnectCustomKeyStore.
func (s *Service) ConnectCustomKeyStore(ctx context.Context, c *guard.Call, in *kmsapi.ConnectCustomKeyStoreRequest) (*kmsapi.ConnectCustomKeyStoreResponse, error) {
	var begun storeRecord
	err := s.changeStore(ctx, c, in.CustomKeyStoreId, func(tx store.Tx, st *storeRecord) error {
		begun = storeRecord{}
		switch st.State {
		case kmsapi.ConnectionStateTypeFAILED, kmsapi.ConnectionStateTypeDISCONNECTING:
			return storeState(st, "ConnectCustomKeyStore")
		case kmsapi.ConnectionStateTypeCONNECTED, kmsapi.ConnectionStateTypeCONNECTING:
			return nil
		}
		st.State, st.Error, st.Attempt = kmsapi.ConnectionStateTypeCONNECTING, "", st.Attempt+1
		begun = *st
		return st.put(tx)
	})
	if err != nil {
		return nil, err
	}
	if begun.ID != "" {
		s.connect(begun)
	}
	return &kmsapi.ConnectCustomKeyStoreResponse{}, nil
}

// connect asks the proxy of a store for its health and notes the outcome, without the caller
// waiting. A store that was disconnected meanwhile, or is being connected anew, keeps its state.
func (s *Service) connect(st storeRecord) {
	s.clock.Go(func() {
		ctx := context.Background()
		state, code := kmsapi.ConnectionStateTypeCONNECTED, ""
		p, err := s.proxyOf(&st)
		if err == nil {
			_, err = s.ekm.Health(ctx, p, xks.RequestMetadata{Operation: "ConnectCustomKeyStore", RequestID: guard.NewRequestID()})
		}
		if err != nil {
			state, code = kmsapi.ConnectionStateTypeFAILED, kmsapi.ConnectionErrorCodeTypeINTERNAL_ERROR
			if v, ok := judge(err); ok {
				code = v.connection
			}
			s.log.Warn("an external key store was not connected", "store", st.ID, "error", err)
		}
		s.becomeSurely(ctx, st, state, code)
		s.watchHealth()
	})
}

// resumeConnections goes on with what the server was connecting or disconnecting when it ended, and
// watches the stores that are connected.
func (s *Service) resumeConnections(ctx context.Context) error {
	begun, err := s.storesThat(ctx, kmsapi.ConnectionStateTypeCONNECTING, kmsapi.ConnectionStateTypeDISCONNECTING, kmsapi.ConnectionStateTypeCONNECTED)
	for _, st := range begun {
		switch st.State {
		case kmsapi.ConnectionStateTypeCONNECTING:
			s.connect(st)
		case kmsapi.ConnectionStateTypeDISCONNECTING:
			s.disconnect(st)
		default:
			s.watchHealth()
		}
	}
	return err
}

// become gives a store the state that an attempt begun by begun ends in, unless something else
// happened to the store since.
func (s *Service) become(ctx context.Context, begun *storeRecord, state, code string) error {
	return s.g.Change(ctx, func(tx store.Tx) error {
		now, found, err := storeTable.Get(tx, begun.Region, begun.Account, begun.ID)
		if err != nil || !found || now.State != begun.State || now.Attempt != begun.Attempt {
			return err
		}
		now.State, now.Error = state, code
		return now.put(tx)
	})
}

// becomeSurely is become, again and again.
func (s *Service) becomeSurely(ctx context.Context, begun storeRecord, state, code string) {
	err := s.become(ctx, &begun, state, code)
	store.Report(ctx, s.log, "the new state of an external key store was not saved", err, "store", begun.ID, "state", state)
	if err != nil && !store.Over(err) {
		s.clock.AfterFunc(becomeAgain, func() { s.becomeSurely(ctx, begun, state, code) })
	}
}

// becomeAgain is when a store's state that could not be saved is saved again.
const becomeAgain = 5 * time.Second

// disconnect ends a store's connection when the requests that are under way have their answers.
func (s *Service) disconnect(st storeRecord) {
	s.clock.Go(func() {
		if idle := s.traffic.idle(st.ID); idle != nil {
			<-idle // a proxy has a fraction of a second to answer
		}
		s.becomeSurely(context.Background(), st, kmsapi.ConnectionStateTypeDISCONNECTED, "")
	})
}

// DisconnectCustomKeyStore disconnects a store: its keys cannot be used from now on until it is
// connected again. While requests that began before wait for the proxy it is DISCONNECTING.
// Source: API Reference, DisconnectCustomKeyStore.
func (s *Service) DisconnectCustomKeyStore(ctx context.Context, c *guard.Call, in *kmsapi.DisconnectCustomKeyStoreRequest) (*kmsapi.DisconnectCustomKeyStoreResponse, error) {
	var begun storeRecord
	err := s.changeStore(ctx, c, in.CustomKeyStoreId, func(tx store.Tx, st *storeRecord) error {
		if st.State == kmsapi.ConnectionStateTypeDISCONNECTED || st.State == kmsapi.ConnectionStateTypeDISCONNECTING {
			return storeState(st, "DisconnectCustomKeyStore")
		}
		st.State, st.Error = kmsapi.ConnectionStateTypeDISCONNECTED, ""
		if s.traffic.idle(st.ID) != nil {
			st.State = kmsapi.ConnectionStateTypeDISCONNECTING
		}
		begun = *st
		return st.put(tx)
	})
	if err != nil {
		return nil, err
	}
	if begun.State == kmsapi.ConnectionStateTypeDISCONNECTING {
		s.disconnect(begun)
	}
	return &kmsapi.DisconnectCustomKeyStoreResponse{}, nil
}

// DeleteCustomKeyStore deletes a store that is disconnected and has no keys. The proxy and its keys
// are not touched. Source: API Reference, DeleteCustomKeyStore.
func (s *Service) DeleteCustomKeyStore(ctx context.Context, c *guard.Call, in *kmsapi.DeleteCustomKeyStoreRequest) (*kmsapi.DeleteCustomKeyStoreResponse, error) {
	err := s.changeStore(ctx, c, in.CustomKeyStoreId, func(tx store.Tx, st *storeRecord) error {
		if st.State != kmsapi.ConnectionStateTypeDISCONNECTED {
			return storeState(st, "DeleteCustomKeyStore")
		}
		keys := store.Range{Prefix: store.Key(st.Region, st.Account, st.ID), Limit: 1}
		for _, err := range xksKeyTable.ScanRange(tx, keys) {
			if err == nil {
				err = apierr.Newf("CustomKeyStoreHasCMKsException", "The custom key store %s contains KMS keys.", st.ID)
			}
			return err
		}
		return storeTable.Delete(tx, st.Region, st.Account, st.ID)
	})
	if err != nil {
		return nil, err
	}
	s.traffic.forget(*in.CustomKeyStoreId)
	return &kmsapi.DeleteCustomKeyStoreResponse{}, nil
}

// UpdateCustomKeyStore changes a store that is disconnected. Its name, the path of the proxy and the
// credential can be changed while it is connected too. The proxy has to answer with what is new.
// Source: API Reference, UpdateCustomKeyStore.
func (s *Service) UpdateCustomKeyStore(ctx context.Context, c *guard.Call, in *kmsapi.UpdateCustomKeyStoreRequest) (*kmsapi.UpdateCustomKeyStoreResponse, error) {
	set := xksSettings{in.XksProxyConnectivity, in.XksProxyUriEndpoint, in.XksProxyUriPath, in.XksProxyVpcEndpointServiceName,
		in.XksProxyVpcEndpointServiceOwner, in.XksProxyAuthenticationCredential}
	moves := set.connectivity != nil || set.endpoint != nil || set.service != nil || set.owner != nil
	var before storeRecord
	prepare := func(tx store.Tx) (st storeRecord, err error) {
		if err := s.allowAny(tx, c, "kms:UpdateCustomKeyStore"); err != nil {
			return st, err
		}
		if st, err = findStore(tx, c, *in.CustomKeyStoreId); err != nil {
			return st, err
		}
		disconnected, connected := st.State == kmsapi.ConnectionStateTypeDISCONNECTED, st.State == kmsapi.ConnectionStateTypeCONNECTED
		switch {
		case in.CloudHsmClusterId != nil || in.KeyStorePassword != nil:
			return st, apierr.Validation("CloudHsmClusterId and KeyStorePassword are not valid for an external key store.")
		case !disconnected && (moves || !connected):
			return st, storeState(&st, "UpdateCustomKeyStore")
		}
		before = st
		if in.NewCustomKeyStoreName != nil {
			st.Name = *in.NewCustomKeyStoreName
		}
		if err := s.apply(&st, &set); err != nil {
			return st, err
		}
		return st, st.checkUnique(tx, false)
	}
	var st storeRecord
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		st, err = prepare(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	if moves || set.path != nil || set.credential != nil {
		if err := s.probe(ctx, c, &st); err != nil {
			return nil, onStore(err)
		}
	}
	probed := before
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		now, err := prepare(tx)
		if err != nil {
			return err
		}
		if before.Endpoint != probed.Endpoint || before.Path != probed.Path || before.AccessKeyID != probed.AccessKeyID {
			return storeState(&before, "UpdateCustomKeyStore") // changed by another call meanwhile
		}
		return now.put(tx)
	})
	if err != nil {
		return nil, err
	}
	return &kmsapi.UpdateCustomKeyStoreResponse{}, nil
}
