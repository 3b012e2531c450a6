module github.com/kagimori/kagimori

go 1.26
