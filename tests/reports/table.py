"""Public bug reports of other runtimes about the work that ossc does, and its answer to each kind.

In our own words. ``seen`` names threads that were looked up and say what ``symptom`` says; a row
without any is a sibling of another row, or was met by trying ossc itself.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Report:
    """One kind of report."""

    test: str
    """The case that asserts the answer: ``<module>::<function>``."""
    symptom: str
    """What a user met."""
    answer: str
    """What ossc does with the same input."""
    seen: tuple[str, ...] = ()
    """Threads of GitHub: ``owner/name#number``."""


REPORTS = (
    Report(
        test="test_checkpoints::test_a_snapshot_of_links_compiles_to_the_same_numbers",
        symptom="a model in the hub's cache, made of links, is refused as leaving its folder",
        answer="compiles it, to the numbers of the plain files",
        seen=("microsoft/onnxruntime#27353", "openvinotoolkit/openvino#22736"),
    ),
    Report(
        test="test_checkpoints::test_the_folder_above_a_snapshot_will_do",
        symptom="the cache's folder of a repository is given, and no weights are found in it",
        answer="takes the one snapshot in it",
        seen=("exo-explore/exo#220",),
    ),
    Report(
        test="test_checkpoints::test_a_git_lfs_pointer_is_recognised",
        symptom="a clone without Git LFS fails with a header that is too large",
        answer="says that the file is a pointer, and the command that fetches what it points to",
        seen=("huggingface/transformers#27923", "vllm-project/vllm#57975"),
    ),
    Report(
        test="test_checkpoints::test_a_missing_shard_is_named",
        symptom="a download lacks shards, which shows as missing tensors, or when it is loaded",
        answer="names the missing file before any work",
        seen=("ggml-org/llama.cpp#7215", "ggml-org/llama.cpp#16361"),
    ),
    Report(
        test="test_checkpoints::test_a_missing_tensor_is_named_before_any_work",
        symptom="a converted model has fewer tensors than its loader expects",
        answer="names the first tensor that is missing, and writes nothing",
        seen=("ggml-org/llama.cpp#6490",),
    ),
    Report(
        test="test_checkpoints::test_offsets_beyond_the_file_are_refused",
        symptom="a header claims data behind the end of its file, which is read",
        answer="refuses the file by name when it reads the header",
        seen=("ml-explore/mlx#3409", "ml-explore/mlx#3363"),
    ),
    Report(
        test="test_checkpoints::test_tensors_at_odd_bytes_are_read",
        symptom="files with a header of any length have tensors that are not aligned",
        answer="reads them; the format allows it",
        seen=("ml-explore/mlx#4439", "safetensors/safetensors#231"),
    ),
    Report(
        test="test_checkpoints::test_a_checkpoint_saved_in_float32_computes_what_it_holds",
        symptom="a trainer saved float32 where the base model was bfloat16, and conversion fails",
        answer="computes what the file holds",
        seen=("ggml-org/llama.cpp#9211",),
    ),
    Report(
        test="test_checkpoints::test_routers_and_norms_in_float32_beside_mxfp4_are_kept",
        symptom="tensors of several types lie in one checkpoint",
        answer="keeps float32 norms and routers as exact as they are",
    ),
    Report(
        test="test_checkpoints::test_a_checkpoint_saved_in_float16_computes_what_it_holds",
        symptom="float32, bfloat16 and float16 are mixed up between training and running",
        answer="computes what the file holds, in float32",
        seen=("vllm-project/vllm#22881",),
    ),
    Report(
        test="test_configs::test_tied_embeddings_need_no_head_of_their_own",
        symptom="a model that shares embedding and head is refused for lack of a head",
        answer="uses the embedding as the head where config.json says so",
        seen=("predibase/lorax#726", "vllm-project/vllm#53020"),
    ),
    Report(
        test="test_configs::test_a_head_that_is_missing_is_not_made_up",
        symptom="a head is missing, or tied against the config, and answers become noise",
        answer="names the missing tensor; nothing is tied that config.json does not tie",
        seen=("QwenLM/Qwen3-VL-Embedding#89", "microsoft/onnxruntime-genai#2306"),
    ),
    Report(
        test="test_checkpoints::test_a_fine_tune_in_bfloat16_is_read_with_its_own_layout",
        symptom="a fine-tune of gpt-oss has other names and transposed experts, and does not load",
        answer="reads both layouts",
        seen=("ml-explore/mlx-lm#679", "vllm-project/vllm#22380"),
    ),
    Report(
        test="test_configs::test_a_quantization_that_the_tensors_do_not_have_is_a_note",
        symptom="a config still says how the base model was quantized",
        answer="believes the tensors, and says so",
    ),
    Report(
        test="test_checkpoints::test_a_folder_with_only_an_adapter_is_told_to_merge",
        symptom="a trainer left an adapter, and the error is about a missing model file",
        answer="says that it is an adapter, and how to merge it",
        seen=("ggml-org/llama.cpp#4896", "vllm-project/vllm#4416"),
    ),
    Report(
        test="test_checkpoints::test_an_adapter_beside_the_weights_is_not_ignored",
        symptom="a converted model behaves as if it had never been fine-tuned",
        answer="refuses a folder with an adapter that it would not apply",
        seen=("ggml-org/llama.cpp#1631",),
    ),
    Report(
        test="test_configs::test_no_stop_token_in_the_configs_is_not_none_at_all",
        symptom="the configs lack the token that ends a turn, and an answer never ends",
        answer="takes it from the tokenizer then",
        seen=("Blaizzy/mlx-vlm#2112",),
    ),
    Report(
        test="test_configs::test_every_stop_token_of_a_list_ends_an_answer",
        symptom="of several end tokens only the first is obeyed",
        answer="ends at each of them",
        seen=("Blaizzy/mlx-vlm#309",),
    ),
    Report(
        test="test_configs::test_rope_theta_in_either_form_is_the_same_model",
        symptom="rope_theta moved in transformers 5, and readers go on with their default",
        answer="reads both forms to the same numbers, and another theta to others",
        seen=("deepspeedai/DeepSpeed#8345", "microsoft/onnxruntime-genai#2609"),
    ),
    Report(
        test="test_configs::test_two_rotations_that_contradict_are_not_chosen_from_silently",
        symptom="a rotary scaling is set in one place and read from another, without a word",
        answer="refuses the contradiction, or takes what transformers takes",
        seen=("MakazhanAlpamys/Soup#793",),
    ),
    Report(
        test="test_configs::test_a_bundle_is_held_against_what_is_not_ours",
        symptom="a converted model goes wrong at some lengths where transformers does not",
        answer="`ossc verify --oracle transformers` compares them, far positions included",
        seen=("microsoft/onnxruntime-genai#954", "microsoft/onnxruntime-genai#552"),
    ),
    Report(
        test="test_checkpoints::test_a_gguf_is_recognised",
        symptom="a GGUF file is taken for a repository's name, or for a folder without weights",
        answer="says what it is, and which files are needed instead",
        seen=("vllm-project/vllm#23321", "Lightricks/ComfyUI-LTXVideo#163"),
    ),
    Report(
        test="test_checkpoints::test_pickled_weights_are_recognised",
        symptom="a loader looks for one format, and the folder has the other",
        answer="names the file, and how to save it as safetensors",
        seen=("vllm-project/vllm#947",),
    ),
    Report(
        test="test_checkpoints::test_a_checkpoint_of_mlx_is_recognised",
        symptom="weights that MLX saved fail elsewhere with an error about their form",
        answer="says that they are MLX's, and what to give instead",
        seen=("ml-explore/mlx#743",),
    ),
    Report(
        test="test_configs::test_a_limit_that_older_configs_do_not_give_is_that_of_their_class",
        symptom="a config was written before a field existed",
        answer="takes what that class computed with",
    ),
    Report(
        test="test_checkpoints::test_a_name_on_the_hub_is_answered_with_how_to_get_it",
        symptom="a name on the hub is given where a local model is needed",
        answer="gives the command that downloads it",
        seen=("ollama/ollama#5489",),
    ),
    Report(
        test="test_checkpoints::test_text_files_that_cannot_be_read_are_refused_when_compiling",
        symptom="a broken text file of the model fails first on the device",
        answer="reads the text files when it compiles",
    ),
    Report(
        test="test_answers::test_the_text_of_an_answer_has_no_channel_names",
        symptom="harmony's channel names and thoughts stand in the answer",
        answer="`text` is the final channel, `thinking` is beside it",
        seen=("ggml-org/llama.cpp#15124", "johnbean393/Sidekick#75"),
    ),
    Report(
        test="test_answers::test_an_answer_without_thoughts_is_the_answer",
        symptom="a final message without thoughts before it is taken for a thought",
        answer="goes by the channel's name",
        seen=("vllm-project/vllm#23694",),
    ),
    Report(
        test="test_answers::test_an_answer_whose_header_is_cut_short_is_not_swallowed",
        symptom="the model wrote tokens, and both content and thoughts are empty",
        answer="shows words of a header that nothing ends",
        seen=("vllm-project/vllm#41902",),
    ),
    Report(
        test="test_answers::test_earlier_thoughts_reach_the_template_under_any_of_their_names",
        symptom="thoughts of earlier turns are refused by the template, or lost by their name",
        answer="gives the template all three names",
        seen=("ggml-org/llama.cpp#16934", "simonw/llm-mlx#24"),
    ),
    Report(
        test="test_answers::test_text_in_a_message_cannot_begin_a_turn_of_another",
        symptom="control tokens that are pasted into a message become control tokens",
        answer="text of a message stays text",
        seen=("ggml-org/llama.cpp#24382", "trevornk/ramblr#78"),
    ),
    Report(
        test="test_answers::test_a_template_that_prints_the_date_renders",
        symptom="gpt-oss's template calls a clock that the renderer lacks",
        answer="has the clock, as transformers does",
        seen=("ikawrakow/ik_llama.cpp#693",),
    ),
    Report(
        test="test_answers::test_a_template_may_not_run_for_ever_or_fill_memory",
        symptom="a few bytes of template take all time or memory",
        answer="bounds both, and says so",
        seen=("ggml-org/llama.cpp#24140", "vllm-project/vllm#52025"),
    ),
    Report(
        test="test_answers::test_a_template_that_fails_says_so_when_compiling",
        symptom="a template's own error ends the program",
        answer="renders it once when it compiles, and refuses it with a sentence",
        seen=("ggml-org/llama.cpp#24140",),
    ),
    Report(
        test="test_answers::test_a_character_of_several_tokens_comes_whole",
        symptom="emoji and accents come as replacement characters while they stream",
        answer="gives a character out when it is whole",
        seen=("waybarrios/vllm-mlx#109", "abetlen/llama-cpp-python#372"),
    ),
    Report(
        test="test_answers::test_an_answer_that_ends_inside_a_character_is_still_json",
        symptom="half a character at the end of an answer breaks its JSON, or the server",
        answer="prints valid JSON",
        seen=("ggml-org/llama.cpp#9195", "containers/ramalama#752"),
    ),
    Report(
        test="test_answers::test_a_long_answer_takes_time_in_proportion",
        symptom="turning tokens into text becomes slower the longer an answer is",
        answer="takes the same time for each token",
        seen=("vllm-project/vllm#1099", "vllm-project/vllm#24174"),
    ),
    Report(
        test="test_answers::test_a_cut_answer_says_so_and_which_option_helps",
        symptom="an answer ends in mid-sentence because of a default, which nothing says",
        answer="`finish_reason` is length, and stderr names the option",
        seen=("ml-explore/mlx-examples#836", "huggingface/text-generation-inference#2421"),
    ),
    Report(
        test="test_answers::test_an_answer_that_ended_by_itself_says_that",
        symptom="an answer that ended cannot be told from one that was cut",
        answer="`finish_reason` is stop",
        seen=("ml-explore/mlx-lm#380",),
    ),
    Report(
        test="test_answers::test_a_full_context_ends_an_answer_and_says_so",
        symptom="at the end of the context a chat hangs, or stops as if it were done",
        answer="`finish_reason` is context",
        seen=("mlc-ai/mlc-llm#2636",),
    ),
    Report(
        test="test_answers::test_the_program_without_python_says_it_too",
        symptom="two programs for one model report differently",
        answer="`ossc-run` has the same fields",
    ),
    Report(
        test="test_answers::test_a_prompt_beyond_the_context_is_refused_with_the_option_that_helps",
        symptom="a long prompt crashes, or is refused by a limit that nobody set",
        answer="says how long it may be, and which option makes it longer",
        seen=("microsoft/onnxruntime-genai#1558", "microsoft/onnxruntime-genai#515"),
    ),
    Report(
        test="test_answers::test_equal_seeds_give_equal_answers_and_others_do_not",
        symptom="a seed is missing, changes nothing, or does not repeat an answer",
        answer="equal seeds sample equal tokens",
        seen=("ollama/ollama#5044", "microsoft/onnxruntime-genai#463"),
    ),
    Report(
        test="test_answers::test_a_prompt_that_is_not_utf_8_is_one_sentence",
        symptom="a prompt in another encoding ends the program",
        answer="says that it needs UTF-8",
        seen=("ggml-org/llama.cpp#6396",),
    ),
    Report(
        test="test_answers::test_logits_that_are_no_numbers_are_not_a_row_of_equal_tokens",
        symptom="numbers that overflowed come out as a row of exclamation marks",
        answer="says that the logits are no numbers, and how to check the bundle",
        seen=("vllm-project/vllm#14126", "turboderp/exllama#222"),
    ),
    Report(
        test="test_robustness::test_a_second_thread_is_refused_and_breaks_nothing",
        symptom="two threads that use one model end the process",
        answer="refuses the second one while the first runs",
        seen=("nomic-ai/gpt4all#2444", "ggml-org/llama.cpp#7876"),
    ),
    Report(
        test="test_robustness::test_a_session_that_is_closed_while_it_runs_does_not_end_the_process",
        symptom="a model is released while another thread computes with it",
        answer="waits, or refuses",
    ),
    Report(
        test="test_robustness::test_an_argument_that_does_not_fit_is_refused_and_not_wrapped",
        symptom="a number outside its range becomes another number",
        answer="refuses it",
    ),
    Report(
        test="test_robustness::test_threads_that_there_cannot_be_are_refused",
        symptom="a number of threads that the machine does not have slows or ends a run",
        answer="refuses what there cannot be",
        seen=("ollama/ollama#2496",),
    ),
    Report(
        test="test_robustness::test_token_ids_are_plain_numbers_of_the_vocabulary",
        symptom="an id outside the vocabulary reaches the model",
        answer="refuses it as wrong usage",
        seen=("vllm-project/vllm#53029",),
    ),
    Report(
        test="test_robustness::test_the_default_threads_are_the_cpus_that_this_process_may_use",
        symptom="in a container as many threads start as the host has CPUs",
        answer="starts one for each CPU that it may use",
        seen=("ollama/ollama#17916", "llmmanorg/llmman#322"),
    ),
    Report(
        test="test_robustness::test_a_bundle_whose_weights_are_short_is_refused_before_it_runs",
        symptom="a file that was not written whole fails first when it is read",
        answer="names the file before it runs",
        seen=("ggml-org/llama.cpp#3521",),
    ),
    Report(
        test="test_robustness::test_weights_that_are_cut_while_they_are_mapped_are_an_error_and_no_signal",
        symptom="a mapped file becomes shorter, and the process gets a signal",
        answer="the call fails with a sentence",
    ),
    Report(
        test="test_robustness::test_a_full_disk_ends_an_answer_with_a_sentence",
        symptom="writing to a full disk seems to succeed",
        answer="stops at the first failed write, with status 1",
        seen=("ggml-org/llama.cpp#3521",),
    ),
    Report(
        test="test_robustness::test_help_into_a_full_disk_ends_with_a_sentence",
        symptom="a text that could not be written counts as written",
        answer="status 1 and a sentence",
    ),
    Report(
        test="test_robustness::test_a_disk_too_small_for_the_bundle_is_left_as_it_was",
        symptom="a conversion into a full disk leaves a corrupt file",
        answer="says how much is needed, and leaves nothing",
        seen=("ggml-org/llama.cpp#3521",),
    ),
    Report(
        test="test_robustness::test_a_bundle_needs_nothing_that_is_installed",
        symptom="running a compiled model needs a compiler and linker that the machine lacks",
        answer="the bundle's program runs with an empty environment",
        seen=("mlc-ai/mlc-llm#3177",),
    ),
    Report(
        test="test_robustness::test_both_programs_refuse_with_the_same_status",
        symptom="a script cannot tell wrong usage from a failure",
        answer="both programs end with the same status",
    ),
    Report(
        test="test_robustness::test_a_compiler_cache_that_cannot_be_written_is_said_before_minutes_of_work",
        symptom="a cache that cannot be written fails a build at its end",
        answer="tries it first, and names the variable that moves it",
    ),
    Report(
        test="test_robustness::test_a_compilation_that_is_ended_leaves_nothing",
        symptom="a build that was ended leaves gigabytes in a hidden folder",
        answer="cleans up after SIGINT, SIGTERM and SIGHUP",
    ),
    Report(
        test="test_robustness::test_a_disk_that_forbids_programs_is_named",
        symptom="a library on a disk without the right to execute is said to need another system",
        answer="names the mount option",
    ),
    Report(
        test="test_robustness::test_an_interrupted_answer_keeps_what_came",
        symptom="Ctrl-C loses the answer so far",
        answer="prints it, with `finish_reason` interrupted",
    ),
)
