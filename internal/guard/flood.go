package guard

import (
	"sync"
	"time"
)

// Full evidence of refusals, with what did not apply and the fixes, costs time and space. Each
// account may cause that much of it: a burst, and a rate at which it comes back. Beyond, a record
// tells only who was refused what by which layer.
const (
	fullBurst = 1000
	fullRate  = 5 // a second
	// floodAccounts bounds the accounts that are remembered.
	floodAccounts = 4096
)

// flood counts the refusals of each account.
type flood struct {
	mu       sync.Mutex
	accounts map[string]allowance // guarded by mu
}

// An allowance is what was left at a time.
type allowance struct {
	left float64
	at   time.Time
}

func (a allowance) now(now time.Time) float64 {
	return min(fullBurst, a.left+max(0, now.Sub(a.at).Seconds())*fullRate)
}

// full reports whether a refusal of an account is to be recorded in full, and counts it.
func (f *flood) full(account string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, known := f.accounts[account]
	if !known {
		if len(f.accounts) >= floodAccounts {
			f.forget(now)
		}
		a = allowance{fullBurst, now}
	}
	left := a.now(now)
	if left < 1 {
		return false
	}
	f.accounts[account] = allowance{left - 1, now}
	return true
}

// forget drops the accounts that have all of their allowance, or all accounts if none has.
func (f *flood) forget(now time.Time) {
	for account, a := range f.accounts {
		if a.now(now) >= fullBurst {
			delete(f.accounts, account)
		}
	}
	if len(f.accounts) >= floodAccounts {
		clear(f.accounts)
	}
}
