module github.com/kagimori/kagimori/bench

go 1.26.0

require (
	github.com/cedar-policy/cedar-go v1.9.1
	github.com/kagimori/kagimori v0.0.0
	golang.org/x/perf v0.0.0-20260908200009-22c9c6c9d4da
)

require (
	github.com/aclements/go-moremath v0.0.0-20210112150236-f10218a38794 // indirect
	github.com/go-json-experiment/json v1.27.2 // indirect
	golang.org/x/exp v0.0.0-20260824195058-e88cd73687aa // indirect
)

replace github.com/kagimori/kagimori => ../
